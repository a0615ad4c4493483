//! The router's decisions, as a state machine without sockets or a clock: [`Dispatch::on`] takes an [`Event`] and
//! the time, and gives [`Action`]s.
//!
//! A job's way: `arrival` (joined, replayed, refused or taken in) → `assign` (a worker is chosen, or it waits in
//! its `lane`) → `words` (what workers say) → `closing` (a result ends it) or `loss` (it runs elsewhere). `hello`
//! and `adoption` take up workers and what they hold; `clock` does what is due; `deploy` is what an administrator
//! asks for. What is held: `job` and its `work`, `attempt`, `worker` and its `pool`s, `lane`, `answers`,
//! `poison`.

mod action;
mod admin;
mod answers;
mod event;
mod ids;
mod jobs;
mod log;
mod planted_fault;
mod queue;
mod settings;
mod snapshot;
#[cfg(test)]
mod tests;
mod timers;
mod workers;

use std::collections::BTreeMap;

use trackyard_protocol::build::{BuildProgress, BuildState, LogPage};
use trackyard_protocol::request::Place;
use trackyard_protocol::token::{Epoch, JobKey};
use trackyard_protocol::version::PinnedVersion;
use trackyard_protocol::worker::BATCHES_SINCE;

pub use action::{Action, Answer, Counter, Ending, Output};
pub(crate) use event::Effort;
pub use event::{Deployment, Event, NewJob, Order, Peer, Time, Waiter};
pub(crate) use ids::Map;
#[doc(hidden)]
pub use planted_fault::Sabotage;
pub use settings::{PoolCover, Settings};
pub use snapshot::{FailedView, JobView, QueueView, Snapshot, Totals, WorkerView};

use action::Turn;
use answers::Answers;
use jobs::{Jobs, Poison};
use planted_fault::Saboteur;
use queue::Lanes;
use workers::attempt::Attempts;
use workers::{Returning, Workers};

/// The dispatcher: all that the router knows of jobs and workers.
#[derive(Debug)]
pub struct Dispatch {
    epoch: Epoch,
    settings: Settings,
    now: Time,
    recovering: bool,
    recover_until: Time,
    draining: bool,
    jobs: Jobs,
    attempts: Attempts,
    workers: Workers,
    lanes: Lanes,
    answers: Answers,
    poison: Poison,
    /// Absent until the deployed versions are known for the first time.
    deployed: Option<BTreeMap<Place, Vec<PinnedVersion>>>,
    returning: Vec<Returning>,
    /// Connections that were asked to say hello lately.
    asked: Map<Peer, Time>,
    next_beat: Time,
    next_silence: Time,
    saboteur: Saboteur,
}

impl Dispatch {
    /// A dispatcher that has just started. `epoch` is random: it tells this start from every other.
    #[must_use]
    pub fn new(epoch: Epoch, settings: Settings, now: Time) -> Self {
        Self::with(epoch, settings, now, Saboteur::default())
    }

    /// A dispatcher with a fault, to see that tests find it.
    #[cfg(feature = "sabotage")]
    #[doc(hidden)]
    #[must_use]
    pub fn sabotaged(epoch: Epoch, settings: Settings, now: Time, fault: Sabotage) -> Self {
        Self::with(epoch, settings, now, Saboteur::new(fault))
    }

    fn with(epoch: Epoch, settings: Settings, now: Time, saboteur: Saboteur) -> Self {
        Self {
            epoch,
            now,
            recovering: true,
            recover_until: now + settings.recovery,
            draining: false,
            jobs: Jobs::default(),
            attempts: Attempts::new(epoch, saboteur),
            workers: Workers::default(),
            lanes: Lanes::default(),
            answers: Answers::default(),
            poison: Poison::default(),
            deployed: None,
            returning: Vec::new(),
            asked: Map::default(),
            next_beat: now + settings.heartbeat,
            next_silence: now + settings.silence,
            settings,
            saboteur,
        }
    }

    /// Takes one event; what is to be done is appended to `actions`. Time never goes back. What is due is done on
    /// [`Event::Tick`] alone, so that after a pause the edge can hand over first what came meanwhile.
    pub fn on(&mut self, event: Event, now: Time, actions: &mut Vec<Action>) {
        self.now = self.now.max(now);
        let turn = &mut Turn::new(self.now, actions);
        match event {
            Event::Job { waiter, job } => self.arrive(waiter, job, turn),
            Event::Worker { peer, message } => self.hear(peer, message, turn),
            Event::Gone { peer } => self.gone(peer, turn),
            Event::Deployed(deployment) => self.deploy(deployment, turn),
            Event::Settings(settings) => self.set(*settings, turn),
            Event::Stalled { by } => self.forgive(by, turn),
            Event::RestartWorkers => self.restart_workers(turn),
            Event::Drain => self.drain(turn),
            Event::Tick => self.tick(turn),
        }
    }

    /// When [`Event::Tick`] is due at the latest.
    #[must_use]
    pub fn next_wake(&self) -> Time {
        let recovery = if self.recovering { self.recover_until } else { Time::MAX };
        let timer = self.jobs.first_timer().unwrap_or(Time::MAX);
        recovery.min(timer).min(self.next_beat).min(self.next_silence)
    }

    /// True for the first seconds, in which workers report what they hold and nothing is dispatched.
    #[must_use]
    pub fn is_recovering(&self) -> bool {
        self.recovering
    }

    /// True when no request waits for an answer: a draining router may close.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.jobs.waiters() == 0
    }

    /// True if whoever is at the end of a connection has said that it reads batches.
    #[must_use]
    pub fn reads_batches(&self, peer: Peer) -> bool {
        let worker = self.workers.by_peer(peer).and_then(|id| self.workers.get(id));
        worker.is_some_and(|worker| worker.about.protocol >= BATCHES_SINCE)
    }

    /// What the dispatcher holds.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.view()
    }

    /// How far a build is, and its lines from `from` on.
    #[must_use]
    pub fn build_progress(&self, key: JobKey, from: u64) -> BuildProgress {
        let job = self.jobs.by_key(key).and_then(|no| self.jobs.get(no));
        let Some(job) = job else {
            return BuildProgress { state: BuildState::None, log: LogPage { lines: Vec::new(), next: from } };
        };
        match job.attempts.last().and_then(|token| self.attempts.get(*token)) {
            Some(attempt) => BuildProgress { state: BuildState::Running, log: attempt.log.since(from) },
            None => {
                BuildProgress { state: BuildState::Waiting, log: LogPage { lines: Vec::new(), next: from } }
            }
        }
    }
}
