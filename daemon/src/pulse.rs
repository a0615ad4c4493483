//! Liveness: the main loop beats, and one that stopped beating is stuck.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::clock::millis;

/// When a loop last went round. Clones are the same pulse.
#[derive(Debug, Clone)]
pub struct Pulse {
    started: Instant,
    last_ms: Arc<AtomicU64>,
    patience: Duration,
}

impl Pulse {
    /// A pulse that counts as stuck after `patience` without a beat.
    #[must_use]
    pub fn new(patience: Duration) -> Self {
        Self { started: Instant::now(), last_ms: Arc::default(), patience }
    }

    /// The loop goes round.
    pub fn beat(&self) {
        self.last_ms.store(millis(self.started.elapsed()), Ordering::Relaxed);
    }

    /// How long ago the last beat was, if that is too long.
    #[must_use]
    pub fn stuck_for(&self) -> Option<Duration> {
        let last = Duration::from_millis(self.last_ms.load(Ordering::Relaxed));
        let since = self.started.elapsed().saturating_sub(last);
        (since > self.patience).then_some(since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_without_patience_is_stuck_at_once_and_a_patient_one_is_not() {
        let hasty = Pulse { started: Instant::now() - Duration::from_secs(1), ..Pulse::new(Duration::ZERO) };
        assert!(hasty.stuck_for().is_some());
        let patient = Pulse::new(Duration::from_secs(60));
        patient.beat();
        assert_eq!(patient.stuck_for(), None);
    }
}
