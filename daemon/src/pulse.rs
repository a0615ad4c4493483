//! Liveness of a main loop, which reports every iteration. A loop that has stopped reporting is stuck.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::clock::millis;

/// The time of a loop's last iteration. Clones share it.
#[derive(Debug, Clone)]
pub struct Pulse {
    started: Instant,
    last_ms: Arc<AtomicU64>,
    timeout: Duration,
}

impl Pulse {
    /// Returns a pulse that counts as stuck after `timeout` without a beat.
    #[must_use]
    pub fn new(timeout: Duration) -> Self {
        Self { started: Instant::now(), last_ms: Arc::default(), timeout }
    }

    /// Reports an iteration of the loop.
    pub fn beat(&self) {
        self.last_ms.store(millis(self.started.elapsed()), Ordering::Relaxed);
    }

    /// Returns the time since the last beat, if it exceeds the timeout.
    #[must_use]
    pub fn stuck_for(&self) -> Option<Duration> {
        let last = Duration::from_millis(self.last_ms.load(Ordering::Relaxed));
        let since = self.started.elapsed().saturating_sub(last);
        (since > self.timeout).then_some(since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pulse_is_stuck_after_timeout() {
        let hasty = Pulse { started: Instant::now() - Duration::from_secs(1), ..Pulse::new(Duration::ZERO) };
        assert!(hasty.stuck_for().is_some());
        let patient = Pulse::new(Duration::from_secs(60));
        patient.beat();
        assert_eq!(patient.stuck_for(), None);
    }
}
