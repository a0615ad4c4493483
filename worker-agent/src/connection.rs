//! The worker's side of the connection to its router, as a pure state machine: it takes events and the time, and
//! returns actions. It has no socket, clock or job.
//!
//! For each job that it accepts, a worker sends exactly one `Result` or `Returned`. It keeps a result until the router
//! has acknowledged it, across lost connections and restarts of the router.

mod backoff;
mod draining;
mod event;
mod held;
mod outgoing;
#[cfg(test)]
mod properties;
mod router_messages;
#[cfg(test)]
mod tests;
mod version_reports;

use std::time::{Duration, Instant};

use trackyard_protocol::channel::{Channel, Topics};
use trackyard_protocol::name::{PoolName, WorkerName};
use trackyard_protocol::token::{Epoch, Incarnation};
use trackyard_protocol::worker::{FromWorker, Hello, Load, PROTOCOL};

use backoff::Backoff;
use draining::Draining;
use held::HeldJobs;
use version_reports::VersionReports;

pub use event::{Action, DrainMode, Event, JobEnd};
pub use outgoing::Outgoing;

/// What a worker tells the router about itself.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The worker's name.
    pub name: WorkerName,
    /// This start of the worker.
    pub incarnation: Incarnation,
    /// The worker's pool, in a cluster.
    pub pool: Option<PoolName>,
    /// The worker's channel.
    pub channel: Channel,
    /// The tracks that the worker is scoped to.
    pub topics: Topics,
    /// Number of jobs that the worker can run at a time.
    pub slots: u32,
    /// The version of the worker's program.
    pub release: String,
}

/// The intervals and timeouts of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// Interval between heartbeats, until a `Welcome` sets another.
    pub heartbeat: Duration,
    /// Silence after which the connection counts as lost, until a `Welcome` sets another.
    pub silence: Duration,
    /// Time that running jobs have to end after SIGTERM.
    pub drain: Duration,
    /// Time that stopped jobs have to leave their slots in a drain.
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

/// After this many connections in a row without a `Welcome`, the worker bootstraps again. The router may have another
/// workers' port or key by now.
const FAILED_CONNECTIONS_BEFORE_BOOTSTRAP: u32 = 10;

/// The state of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// There is no socket. The next one is opened at `until`.
    Closed { until: Instant },
    /// `Hello` was sent.
    HelloSent,
    /// The router has answered `Hello`.
    Welcomed { next_heartbeat: Instant, reads_batches: bool },
    /// `Goodbye` was sent.
    GoodbyeSent,
}

/// A connection to the router.
#[derive(Debug)]
pub struct Connection {
    identity: Identity,
    timing: Timing,
    phase: Phase,
    last_received: Instant,
    backoff: Backoff,
    /// Connections in a row without a `Welcome`.
    failed_connections: u32,
    bootstrap: Option<Epoch>,
    held_jobs: HeldJobs,
    version_reports: VersionReports,
    draining: Option<Draining>,
}

impl Connection {
    /// Returns a connection without a socket; the first [`Event::Tick`] opens one. `seed` is for the jitter of the
    /// backoff.
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
            last_received: now,
            backoff: Backoff::new(seed),
            failed_connections: 0,
            bootstrap,
            held_jobs: HeldJobs::default(),
            version_reports: VersionReports::default(),
            draining: None,
        }
    }

    /// Handles an event and returns what to do.
    pub fn on(&mut self, event: Event, now: Instant) -> Vec<Action> {
        let mut out = Vec::new();
        if self.phase == Phase::GoodbyeSent {
            return out;
        }
        match event {
            Event::RouterMessage(message) => self.on_message(*message, now, &mut out),
            Event::Tick => {}
            Event::VersionReady(version) => self.version_reports.set_ready(version),
            Event::VersionFailed(failed) => self.version_reports.set_failed(failed),
            Event::VersionGone(version) => self.version_reports.remove(&version),
            Event::JobEnded(ended) => self.held_jobs.on_ended(*ended),
            Event::Drain(leave) => self.start_draining(leave, now, &mut out),
            Event::Bootstrapped { epoch, moved } => self.on_bootstrapped(epoch, moved, now, &mut out),
        }
        self.flush(&mut out);
        self.advance_drain(now, &mut out);
        self.run_timers(now, &mut out);
        out
    }

    /// Returns the time by which [`Event::Tick`] must come.
    #[must_use]
    pub fn next_tick(&self) -> Option<Instant> {
        let next = match self.phase {
            Phase::GoodbyeSent => return None,
            Phase::Closed { until } => until,
            Phase::HelloSent => self.silence_deadline(),
            Phase::Welcomed { next_heartbeat, .. } => next_heartbeat.min(self.silence_deadline()),
        };
        let drain = self.draining.as_ref().and_then(Draining::next_deadline);
        Some(drain.map_or(next, |drain| drain.min(next)))
    }

    /// Returns the number of running jobs.
    #[must_use]
    pub fn busy(&self) -> u32 {
        u32::try_from(self.held_jobs.running()).unwrap_or(u32::MAX)
    }

    /// Returns the number of results that the router has not acknowledged yet.
    #[must_use]
    pub fn unacknowledged(&self) -> usize {
        self.held_jobs.finished()
    }

    /// Returns whether the router has accepted this worker.
    #[must_use]
    pub const fn is_welcomed(&self) -> bool {
        matches!(self.phase, Phase::Welcomed { .. })
    }

    /// Returns whether the router reads several messages in one.
    #[must_use]
    pub const fn reads_batches(&self) -> bool {
        matches!(self.phase, Phase::Welcomed { reads_batches: true, .. })
    }

    /// Returns whether the worker takes no more jobs.
    #[must_use]
    pub const fn is_draining(&self) -> bool {
        self.draining.is_some()
    }

    /// Sends what the router does not know yet.
    fn flush(&mut self, out: &mut Vec<Action>) {
        if !self.is_welcomed() {
            return;
        }
        out.extend(self.version_reports.take_unreported().into_iter().map(Action::Send));
        out.extend(self.held_jobs.take_unsent().into_iter().map(Action::Send));
    }

    /// Opens the socket, sends heartbeats and closes a silent connection, each when it is due.
    fn run_timers(&mut self, now: Instant, out: &mut Vec<Action>) {
        match self.phase {
            Phase::Closed { until } if now >= until => {
                out.push(Action::Open);
                self.last_received = now;
                self.send_hello(out);
            }
            Phase::HelloSent | Phase::Welcomed { .. } if now >= self.silence_deadline() => {
                self.close_and_back_off(now, out);
            }
            Phase::Welcomed { next_heartbeat, reads_batches } if now >= next_heartbeat => {
                out.push(Action::Send(FromWorker::Heartbeat(Load { busy: self.busy() })));
                let next_heartbeat = now + self.timing.heartbeat;
                self.phase = Phase::Welcomed { next_heartbeat, reads_batches };
            }
            _ => {}
        }
    }

    fn close_and_back_off(&mut self, now: Instant, out: &mut Vec<Action>) {
        out.push(Action::Close);
        if !self.is_welcomed() {
            self.failed_connections = self.failed_connections.saturating_add(1);
        }
        if self.failed_connections == FAILED_CONNECTIONS_BEFORE_BOOTSTRAP {
            out.push(Action::Bootstrap);
        }
        self.phase = Phase::Closed { until: now + self.backoff.next_delay() };
    }

    fn silence_deadline(&self) -> Instant {
        self.last_received + self.timing.silence
    }

    fn send_hello(&mut self, out: &mut Vec<Action>) {
        let Identity { name, incarnation, pool, channel, topics, slots, release } = self.identity.clone();
        out.push(Action::Send(FromWorker::Hello(Box::new(Hello {
            protocol: PROTOCOL,
            name,
            incarnation,
            pool,
            channel,
            topics,
            slots,
            versions: self.version_reports.report_all(),
            jobs: self.held_jobs.list(),
            bootstrap: self.bootstrap,
            draining: self.is_draining(),
            release,
        }))));
        self.held_jobs.resend_all();
        self.phase = Phase::HelloSent;
    }

    fn on_bootstrapped(&mut self, epoch: Option<Epoch>, moved: bool, now: Instant, out: &mut Vec<Action>) {
        let is_asked = self.draining.as_ref().is_some_and(Draining::is_bootstrapping);
        if !is_asked && self.failed_connections < FAILED_CONNECTIONS_BEFORE_BOOTSTRAP {
            return;
        }
        self.failed_connections = 0;
        self.bootstrap = epoch;
        if is_asked {
            self.draining = None;
        }
        let is_open = !matches!(self.phase, Phase::Closed { .. });
        if moved {
            out.extend(is_open.then_some(Action::Close));
            self.phase = Phase::Closed { until: now };
        } else if is_asked && is_open {
            self.send_hello(out);
        }
    }
}
