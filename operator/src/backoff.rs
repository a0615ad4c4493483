//! Delays between the retries of an object that cannot be reconciled.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

const MAX_BACKOFF: Duration = Duration::from_secs(300);
/// From one second, doubled by each failure.
const BACKOFF: ExponentialBuilder = ExponentialBuilder::new().with_max_delay(MAX_BACKOFF).without_max_times();

/// The back-off of each object that failed, by name.
#[derive(Debug, Default)]
pub(super) struct Backoff(Mutex<HashMap<String, ExponentialBackoff>>);

impl Backoff {
    /// Records a failure of an object. Returns the delay before the next attempt.
    pub(super) fn on_failure(&self, object: &str) -> Duration {
        let mut delays = self.delays();
        let delays = delays.entry(object.to_owned()).or_insert_with(|| BACKOFF.build());
        delays.next().unwrap_or(MAX_BACKOFF)
    }

    /// Resets an object's back-off.
    pub(super) fn on_success(&self, object: &str) {
        self.delays().remove(object);
    }

    fn delays(&self) -> MutexGuard<'_, HashMap<String, ExponentialBackoff>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_five_minutes() {
        let backoff = Backoff::default();
        let delays: Vec<u64> = (0..40).map(|_| backoff.on_failure("a").as_secs()).collect();
        assert_eq!(delays[..10], [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]);
        assert!(delays[10..].iter().all(|&delay| delay == 300));
        assert_eq!(backoff.on_failure("b").as_secs(), 1);
        backoff.on_success("a");
        assert_eq!(backoff.on_failure("a").as_secs(), 1);
    }
}
