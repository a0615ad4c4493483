//! How long after a failure a pool is tried again: twice as long each time.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(300);

/// Failures in a row, by pool.
#[derive(Debug, Default)]
pub(super) struct Backoff(Mutex<HashMap<String, u32>>);

impl Backoff {
    /// Counts a failure; gives the pause before the next try.
    pub(super) fn failed(&self, pool: &str) -> Duration {
        let mut counts = self.counts();
        let count = counts.entry(pool.to_owned()).or_default();
        let pause = FIRST.saturating_mul(1_u32.checked_shl(*count).unwrap_or(u32::MAX)).min(LONGEST);
        *count = count.saturating_add(1);
        pause
    }

    /// Forgets a pool's failures.
    pub(super) fn succeeded(&self, pool: &str) {
        self.counts().remove(pool);
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<String, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_five_minutes_for_each_pool_by_itself() {
        let backoff = Backoff::default();
        let pauses: Vec<u64> = (0..40).map(|_| backoff.failed("a").as_secs()).collect();
        assert_eq!(pauses[..10], [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]);
        assert!(pauses[10..].iter().all(|&pause| pause == 300));
        assert_eq!(backoff.failed("b").as_secs(), 1);
        backoff.succeeded("a");
        assert_eq!(backoff.failed("a").as_secs(), 1);
    }
}
