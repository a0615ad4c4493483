//! The wall clock, which is shown, and the monotonic clock, which decisions use.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A point in time on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The monotonic time, for measurements and timeouts.
    pub monotonic: Instant,
    /// Milliseconds since the Unix epoch, to be shown.
    pub unix_ms: u64,
}

impl Moment {
    /// Returns the present moment.
    #[must_use]
    pub fn now() -> Self {
        Self { monotonic: Instant::now(), unix_ms: unix_ms() }
    }

    /// Returns the time since an earlier moment.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Duration {
        self.monotonic.saturating_duration_since(earlier.monotonic)
    }

    /// Returns the time since this moment.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.monotonic.elapsed()
    }
}

/// Returns the milliseconds since the Unix epoch; 0 if the wall clock is before it.
#[must_use]
pub fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, millis)
}

/// Returns a duration in whole milliseconds, at most `u64::MAX`.
#[must_use]
pub fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_clock_is_plausible() {
        assert!(Moment::now().unix_ms > 1_600_000_000_000);
    }
}
