//! Times of a run. Workers write wall-clock times into their logs, so that the run's own are wall-clock times too.

use std::time::Duration;

use jiff::Timestamp;

/// Time since a run's start.
pub type Time = Duration;

/// A run's start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock(Timestamp);

impl Clock {
    pub(super) fn start() -> Self {
        Self(Timestamp::now())
    }

    pub(super) fn now(self) -> Time {
        self.at(Timestamp::now())
    }

    /// A moment of the wall clock; the run's start, if it was before that.
    pub(super) fn at(self, moment: Timestamp) -> Time {
        Duration::try_from(moment.duration_since(self.0)).unwrap_or_default()
    }
}
