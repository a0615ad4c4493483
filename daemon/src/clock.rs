//! The wall clock, for people, and the monotonic clock, for decisions.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// One point in time on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// For what is measured or awaited.
    pub monotonic: Instant,
    /// Milliseconds since the epoch, for what is shown.
    pub unix_ms: u64,
}

impl Moment {
    /// Now.
    #[must_use]
    pub fn now() -> Self {
        Self { monotonic: Instant::now(), unix_ms: unix_ms() }
    }

    /// What has passed since an earlier moment.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Duration {
        self.monotonic.saturating_duration_since(earlier.monotonic)
    }

    /// What has passed since.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.monotonic.elapsed()
    }
}

/// Milliseconds since the epoch; 0 if the wall clock stands before it.
#[must_use]
pub fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, millis)
}

/// Whole milliseconds of a length of time.
#[must_use]
pub fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wall_clock_is_of_this_century() {
        assert!(Moment::now().unix_ms > 1_600_000_000_000);
    }
}
