//! The router's decisions, as a state machine without sockets or a clock: [`Dispatch::on`] takes an [`Event`] and
//! the time, and returns [`Action`]s.
//!
//! A job's path: `jobs/arrival` (it joins another, gets a stored answer, is refused or accepted) → `queue/assign` (a
//! worker is chosen, or it waits in its lane) → `workers/messages` (what workers report) → `jobs/completion` (a result
//! ends it) or `workers/worker_loss` and `jobs/retry` (it runs elsewhere). `workers/hello` and `workers/adoption`
//! register workers and what they hold, `timers` does what is due, `admin` what an administrator asks for. Each
//! directory has the types that hold its state; [`Dispatch`] has one of each.

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

use trackyard_protocol::build::{BuildProgress, BuildState, LogPage};
use trackyard_protocol::token::{Epoch, JobKey};
use trackyard_protocol::worker::BATCHES_SINCE;

pub use action::{Action, Counter, Ending, JobAnswer, Output};
pub(crate) use event::TimeBudget;
pub use event::{DeployedVersions, Event, JobSpec, NewJob, Peer, Time, Waiter};
pub(crate) use ids::IdMap;
#[doc(hidden)]
pub use planted_fault::PlantedFault;
pub use settings::{PoolCover, Settings};
pub use snapshot::{FailedView, JobView, QueueView, Snapshot, Totals, WorkerView};

use action::Effects;
use answers::Answers;
use jobs::{Jobs, Poison};
use planted_fault::FaultInjector;
use queue::Lanes;
use workers::{Attempts, RestartingWorker, Workers};

/// The dispatcher: everything that the router knows about jobs and workers.
#[derive(Debug)]
pub struct Dispatch {
    epoch: Epoch,
    settings: Settings,
    now: Time,
    recovering: bool,
    recovery_ends: Time,
    draining: bool,
    jobs: Jobs,
    attempts: Attempts,
    workers: Workers,
    lanes: Lanes,
    answers: Answers,
    poison: Poison,
    /// `None` until the deployed versions are known for the first time.
    deployed: Option<DeployedVersions>,
    restarting: Vec<RestartingWorker>,
    /// Connections that were recently asked for a `Hello`, and when.
    hello_requests: IdMap<Peer, Time>,
    next_heartbeat: Time,
    next_silence_check: Time,
    faults: FaultInjector,
}

impl Dispatch {
    /// Creates a dispatcher that starts now. `epoch` is random and distinguishes this start from every other.
    #[must_use]
    pub fn new(epoch: Epoch, settings: Settings, now: Time) -> Self {
        Self::with(epoch, settings, now, FaultInjector::default())
    }

    /// Creates a dispatcher with a fault that tests must find.
    #[cfg(feature = "planted-faults")]
    #[doc(hidden)]
    #[must_use]
    pub fn with_planted_fault(epoch: Epoch, settings: Settings, now: Time, fault: PlantedFault) -> Self {
        Self::with(epoch, settings, now, FaultInjector::new(fault))
    }

    fn with(epoch: Epoch, settings: Settings, now: Time, faults: FaultInjector) -> Self {
        Self {
            epoch,
            now,
            recovering: true,
            recovery_ends: now + settings.recovery,
            draining: false,
            jobs: Jobs::default(),
            attempts: Attempts::new(epoch, faults),
            workers: Workers::default(),
            lanes: Lanes::default(),
            answers: Answers::default(),
            poison: Poison::default(),
            deployed: None,
            restarting: Vec::new(),
            hello_requests: IdMap::default(),
            next_heartbeat: now + settings.heartbeat,
            next_silence_check: now + settings.silence,
            settings,
            faults,
        }
    }

    /// Handles one event and appends what is to be done to `actions`. Time never goes back. Only [`Event::Tick`] does
    /// what is due, so that after a stall the caller can first deliver the messages that arrived meanwhile.
    pub fn on(&mut self, event: Event, now: Time, actions: &mut Vec<Action>) {
        self.now = self.now.max(now);
        let effects = &mut Effects::new(self.now, actions);
        match event {
            Event::Job { waiter, job } => self.on_job(waiter, job, effects),
            Event::Worker { peer, message } => self.on_message(peer, message, effects),
            Event::Disconnected { peer } => self.on_disconnect(peer, effects),
            Event::Deployed(versions) => self.on_deployed(versions, effects),
            Event::Settings(settings) => self.on_settings(*settings, effects),
            Event::Stalled { by } => self.on_stall(by, effects),
            Event::RestartWorkers => self.restart_workers(effects),
            Event::Drain => self.on_drain(effects),
            Event::Tick => self.on_tick(effects),
        }
    }

    /// Returns when [`Event::Tick`] is due at the latest.
    #[must_use]
    pub fn next_wake(&self) -> Time {
        let recovery = if self.recovering { self.recovery_ends } else { Time::MAX };
        let timer = self.jobs.next_timer().unwrap_or(Time::MAX);
        recovery.min(timer).min(self.next_heartbeat).min(self.next_silence_check)
    }

    /// Returns true for the first seconds, in which workers report what they hold and nothing is dispatched.
    #[must_use]
    pub fn is_recovering(&self) -> bool {
        self.recovering
    }

    /// Returns true if no request waits for an answer, so that a draining router may exit.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.jobs.waiters() == 0
    }

    /// Returns true if the worker on this connection reads batches.
    #[must_use]
    pub fn reads_batches(&self, peer: Peer) -> bool {
        let worker = self.workers.by_peer(peer).and_then(|id| self.workers.get(id));
        worker.is_some_and(|worker| worker.info.protocol >= BATCHES_SINCE)
    }

    /// Returns what the dispatcher holds.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.view()
    }

    /// Returns the state of a build, and its log lines from number `from` on.
    #[must_use]
    pub fn build_progress(&self, key: JobKey, from: u64) -> BuildProgress {
        let job = self.jobs.by_key(key).and_then(|index| self.jobs.get(index));
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
