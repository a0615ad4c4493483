//! The router's decisions, as a state machine without sockets or a clock: [`Dispatch::on`] takes an [`Event`] and
//! the time, and gives [`Action`]s.
//!
//! A job's way: `arrival` (joined, replayed, refused or queued) → `assign` (a worker is chosen) → `words` (what
//! workers say of it) → `closing` (a result ends it) or `loss` (it runs elsewhere) → `ending` (every waiter is
//! answered). `hello` and `adoption` take up workers and what they hold; `clock` does what is due.

mod action;
mod event;
mod settings;
mod snapshot;

pub use action::{Action, Counter, Ending, Output};
pub use event::{Deployment, Event, NewJob, Peer, Time, Waiter};
pub use settings::Settings;
pub use snapshot::{FailedView, JobView, QueueView, Snapshot, Totals, WorkerView};

use trackyard_protocol::token::Epoch;

/// The dispatcher: all that the router knows of jobs and workers.
#[derive(Debug)]
pub struct Dispatch {
    epoch: Epoch,
    settings: Settings,
    started: Time,
}

impl Dispatch {
    /// A dispatcher that has just started. `epoch` is random: it tells this start from every other.
    #[must_use]
    pub fn new(epoch: Epoch, settings: Settings, now: Time) -> Self {
        Self { epoch, settings, started: now }
    }

    /// Takes one event; what is to be done is appended to `actions`.
    pub fn on(&mut self, event: Event, now: Time, actions: &mut Vec<Action>) {
        let _ = (event, now, actions);
    }

    /// When [`Event::Tick`] is due at the latest.
    #[must_use]
    pub fn next_wake(&self) -> Option<Time> {
        Some(self.started + self.settings.recovery)
    }

    /// True for the first seconds, in which workers report what they hold and nothing is dispatched.
    #[must_use]
    pub fn is_recovering(&self) -> bool {
        true
    }

    /// True when no request waits for an answer: a draining router may close.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        true
    }

    /// What the dispatcher holds.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            epoch: self.epoch,
            recovering: true,
            draining: false,
            workers: vec![],
            queues: vec![],
            totals: Totals::default(),
        }
    }
}
