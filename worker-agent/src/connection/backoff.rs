//! The delay before a socket is opened again.

use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

const MIN_BACKOFF: Duration = Duration::from_millis(100);
const MAX_BACKOFF: Duration = Duration::from_secs(5);

/// A delay that doubles from 0.1 s to 5 s. Jitter takes up to half of it away, so that workers do not all connect at
/// once when their router comes back.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
    random: SmallRng,
}

impl Backoff {
    pub(super) fn new(seed: u64) -> Self {
        Self { next: MIN_BACKOFF, random: SmallRng::seed_from_u64(seed) }
    }

    pub(super) fn next_delay(&mut self) -> Duration {
        let longest = self.next;
        self.next = (longest * 2).min(MAX_BACKOFF);
        longest.mul_f64(self.random.random_range(0.5..=1.0))
    }

    pub(super) fn reset(&mut self) {
        self.next = MIN_BACKOFF;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_bound_and_start_again() {
        let mut backoff = Backoff::new(7);
        let delays: Vec<Duration> = (0..20).map(|_| backoff.next_delay()).collect();
        assert!(delays[0] >= MIN_BACKOFF / 2 && delays[0] <= MIN_BACKOFF);
        assert!(delays[19] >= MAX_BACKOFF / 2 && delays.iter().all(|delay| *delay <= MAX_BACKOFF));
        backoff.reset();
        assert!(backoff.next_delay() <= MIN_BACKOFF);
    }
}
