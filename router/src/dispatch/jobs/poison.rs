//! Poisoned jobs: they lost too many workers and are refused for a while.

use std::collections::VecDeque;
use std::time::Duration;

use trackyard_protocol::token::JobKey;

use crate::dispatch::Time;
use crate::dispatch::ids::SeededMap;

/// Maximum number of remembered jobs; the oldest are forgotten first.
const MAX_POISONED: usize = 10_000;

/// The poisoned jobs.
#[derive(Debug, Default)]
pub(crate) struct Poison {
    since: SeededMap<JobKey, Time>,
    order: VecDeque<(Time, JobKey)>,
}

impl Poison {
    pub(crate) fn remember(&mut self, key: JobKey, now: Time) {
        self.since.insert(key, now);
        self.order.push_back((now, key));
        if self.order.len() > MAX_POISONED {
            self.pop();
        }
    }

    pub(crate) fn contains(&self, key: JobKey) -> bool {
        self.since.contains_key(&key)
    }

    /// Forgets jobs that are older than `ttl`.
    pub(crate) fn expire(&mut self, ttl: Duration, now: Time) {
        while self.order.front().is_some_and(|(at, _)| *at + ttl <= now) {
            self.pop();
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.since.len()
    }

    fn pop(&mut self) {
        if let Some((at, key)) = self.order.pop_front()
            && self.since.get(&key) == Some(&at)
        {
            self.since.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_and_time_are_bounded() {
        let mut poison = Poison::default();
        for key in 0..u128::try_from(MAX_POISONED).unwrap() + 5 {
            poison.remember(JobKey(key), Time::ZERO);
        }
        assert_eq!(poison.len(), MAX_POISONED);
        assert!(!poison.contains(JobKey(0)));
        poison.expire(Duration::from_secs(1), Duration::from_secs(1));
        assert_eq!(poison.len(), 0);
    }
}
