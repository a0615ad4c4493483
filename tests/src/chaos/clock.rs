//! The time of a run. Workers log wall-clock times, so the run uses the wall clock too.

use std::time::Duration;

use jiff::Timestamp;

/// Time since a run's start.
pub type Time = Duration;

/// Measures the time since a run's start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock(Timestamp);

impl Clock {
    pub(super) fn start() -> Self {
        Self(Timestamp::now())
    }

    pub(super) fn now(self) -> Time {
        self.at(Timestamp::now())
    }

    /// Converts a wall-clock time; a time before the run's start becomes the start.
    pub(super) fn at(self, moment: Timestamp) -> Time {
        Duration::try_from(moment.duration_since(self.0)).unwrap_or_default()
    }
}
