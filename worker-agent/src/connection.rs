//! The worker's side of the talk with its router, as a pure state machine: events and the time go in, actions come
//! out. No socket, no clock, no job runs here.
//!
//! The promise it keeps: a job that was taken in hand is closed by exactly one `Result` or `Returned`, and a result is
//! kept until the router has it, across lost connections and routers that start again.

mod backoff;
mod draining;
mod event;
mod heard;
mod held;
mod outgoing;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
mod versions;

use std::time::{Duration, Instant};

use trackyard_protocol::channel::{Channel, Topics};
use trackyard_protocol::name::{PoolName, WorkerName};
use trackyard_protocol::token::{Epoch, Incarnation};
use trackyard_protocol::worker::{FromWorker, Hello, Load, PROTOCOL};

use backoff::Backoff;
use draining::Draining;
use held::Held;
use versions::Standings;

pub use event::{Action, Ended, Event, Leave};
pub use outgoing::Outgoing;

/// Who this worker is.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Its name.
    pub name: WorkerName,
    /// This start of it.
    pub incarnation: Incarnation,
    /// Its pool, in a cluster.
    pub pool: Option<PoolName>,
    /// Its channel.
    pub channel: Channel,
    /// What it is scoped to.
    pub topics: Topics,
    /// How many jobs it runs at a time.
    pub slots: u32,
    /// The binary's version.
    pub release: String,
}

/// How patient the worker is.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// Between heartbeats, until the router says otherwise.
    pub heartbeat: Duration,
    /// Silence after which the connection is taken for dead, until the router says otherwise.
    pub silence: Duration,
    /// How long jobs in hand may go on after SIGTERM.
    pub drain: Duration,
    /// How long after that, or after a job's cancellation, its end is awaited.
    pub kill: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(1),
            silence: Duration::from_secs(3),
            drain: Duration::from_secs(60),
            kill: Duration::from_secs(5),
        }
    }
}

/// After so many connections without a welcome the router's clients' port is asked again where workers connect, and
/// with which key: it may have come back elsewhere.
const UNWELCOME: u32 = 10;

/// How far the talk has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// No socket until then.
    Closed { until: Instant },
    /// `Hello` was sent.
    Greeted,
    /// The router answered it.
    Welcomed { next_heartbeat: Instant, reads_batches: bool },
    /// `Goodbye` was sent.
    Gone,
}

/// The state of the talk.
#[derive(Debug)]
pub struct Connection {
    identity: Identity,
    timing: Timing,
    phase: Phase,
    last_heard: Instant,
    backoff: Backoff,
    /// Connections in a row that brought no welcome.
    unwelcome: u32,
    bootstrap: Option<Epoch>,
    held: Held,
    standings: Standings,
    draining: Option<Draining>,
}

impl Connection {
    /// A worker that has no socket yet; the first [`Event::Tick`] opens one. `seed` is for the jitter of reopening.
    #[must_use]
    pub fn new(
        identity: Identity,
        timing: Timing,
        bootstrap: Option<Epoch>,
        seed: u64,
        now: Instant,
    ) -> Self {
        Self {
            identity,
            timing,
            phase: Phase::Closed { until: now },
            last_heard: now,
            backoff: Backoff::new(seed),
            unwelcome: 0,
            bootstrap,
            held: Held::default(),
            standings: Standings::default(),
            draining: None,
        }
    }

    /// Takes one event and tells what to do.
    pub fn on(&mut self, event: Event, now: Instant) -> Vec<Action> {
        let mut out = Vec::new();
        if self.phase == Phase::Gone {
            return out;
        }
        match event {
            Event::Heard(message) => self.heard(*message, now, &mut out),
            Event::Tick => {}
            Event::VersionReady(version) => self.standings.ready(version),
            Event::VersionFailed(failed) => self.standings.failed(failed),
            Event::VersionGone(version) => self.standings.gone(&version),
            Event::JobEnded(ended) => self.held.end(*ended),
            Event::Drain(leave) => self.start_draining(leave, now, &mut out),
            Event::Bootstrapped { epoch, moved } => self.bootstrapped(epoch, moved, now, &mut out),
        }
        self.flush(&mut out);
        self.drain_on(now, &mut out);
        self.keep_time(now, &mut out);
        out
    }

    /// When [`Event::Tick`] is due at the latest.
    #[must_use]
    pub fn next_tick(&self) -> Option<Instant> {
        let talk = match self.phase {
            Phase::Gone => return None,
            Phase::Closed { until } => until,
            Phase::Greeted => self.silence_ends(),
            Phase::Welcomed { next_heartbeat, .. } => next_heartbeat.min(self.silence_ends()),
        };
        let drain = self.draining.as_ref().and_then(Draining::next_deadline);
        Some(drain.map_or(talk, |drain| drain.min(talk)))
    }

    /// Jobs in hand.
    #[must_use]
    pub fn busy(&self) -> u32 {
        u32::try_from(self.held.running()).unwrap_or(u32::MAX)
    }

    /// Results that no router has acknowledged yet.
    #[must_use]
    pub fn unacknowledged(&self) -> usize {
        self.held.finished()
    }

    /// True while a router knows this worker.
    #[must_use]
    pub const fn is_welcome(&self) -> bool {
        matches!(self.phase, Phase::Welcomed { .. })
    }

    /// True if the router has said that it reads several words in one message.
    #[must_use]
    pub const fn reads_batches(&self) -> bool {
        matches!(self.phase, Phase::Welcomed { reads_batches: true, .. })
    }

    /// True once the worker takes no more jobs.
    #[must_use]
    pub const fn is_draining(&self) -> bool {
        self.draining.is_some()
    }

    /// Tells a router that knows this worker what it does not know yet.
    fn flush(&mut self, out: &mut Vec<Action>) {
        if !self.is_welcome() {
            return;
        }
        out.extend(self.standings.untold().into_iter().map(Action::Send));
        out.extend(self.held.unsent().into_iter().map(Action::Send));
    }

    /// Opens, closes and keeps alive.
    fn keep_time(&mut self, now: Instant, out: &mut Vec<Action>) {
        match self.phase {
            Phase::Closed { until } if now >= until => {
                out.push(Action::Open);
                self.last_heard = now;
                self.greet(out);
            }
            Phase::Greeted | Phase::Welcomed { .. } if now >= self.silence_ends() => self.give_up(now, out),
            Phase::Welcomed { next_heartbeat, reads_batches } if now >= next_heartbeat => {
                out.push(Action::Send(FromWorker::Heartbeat(Load { busy: self.busy() })));
                let next_heartbeat = now + self.timing.heartbeat;
                self.phase = Phase::Welcomed { next_heartbeat, reads_batches };
            }
            _ => {}
        }
    }

    fn give_up(&mut self, now: Instant, out: &mut Vec<Action>) {
        out.push(Action::Close);
        if !self.is_welcome() {
            self.unwelcome = self.unwelcome.saturating_add(1);
        }
        if self.unwelcome == UNWELCOME {
            out.push(Action::Bootstrap);
        }
        self.phase = Phase::Closed { until: now + self.backoff.next() };
    }

    fn silence_ends(&self) -> Instant {
        self.last_heard + self.timing.silence
    }

    fn greet(&mut self, out: &mut Vec<Action>) {
        let Identity { name, incarnation, pool, channel, topics, slots, release } = self.identity.clone();
        out.push(Action::Send(FromWorker::Hello(Box::new(Hello {
            protocol: PROTOCOL,
            name,
            incarnation,
            pool,
            channel,
            topics,
            slots,
            versions: self.standings.tell_anew(),
            jobs: self.held.list(),
            bootstrap: self.bootstrap,
            draining: self.is_draining(),
            release,
        }))));
        self.held.send_anew();
        self.phase = Phase::Greeted;
    }

    fn bootstrapped(&mut self, epoch: Option<Epoch>, moved: bool, now: Instant, out: &mut Vec<Action>) {
        let is_asked = self.draining.as_ref().is_some_and(Draining::is_bootstrapping);
        if !is_asked && self.unwelcome < UNWELCOME {
            return;
        }
        self.unwelcome = 0;
        self.bootstrap = epoch;
        if is_asked {
            self.draining = None;
        }
        let is_open = !matches!(self.phase, Phase::Closed { .. });
        if moved {
            out.extend(is_open.then_some(Action::Close));
            self.phase = Phase::Closed { until: now };
        } else if is_asked && is_open {
            self.greet(out);
        }
    }
}
