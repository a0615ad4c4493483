//! Jobs that lost their workers, remembered so that they take down no more.

use std::collections::VecDeque;
use std::time::Duration;

use trackyard_protocol::token::JobKey;

use crate::dispatch::Time;
use crate::dispatch::ids::SeededMap;

/// How many are remembered; the oldest go first.
const MOST: usize = 10_000;

/// The memory.
#[derive(Debug, Default)]
pub(crate) struct Poison {
    since: SeededMap<JobKey, Time>,
    order: VecDeque<(Time, JobKey)>,
}

impl Poison {
    pub(crate) fn remember(&mut self, key: JobKey, now: Time) {
        self.since.insert(key, now);
        self.order.push_back((now, key));
        if self.order.len() > MOST {
            self.pop();
        }
    }

    pub(crate) fn has(&self, key: JobKey) -> bool {
        self.since.contains_key(&key)
    }

    /// Forgets what is older than `ttl`.
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
    fn it_is_bounded_in_number_and_time() {
        let mut poison = Poison::default();
        for key in 0..u128::try_from(MOST).unwrap() + 5 {
            poison.remember(JobKey(key), Time::ZERO);
        }
        assert_eq!(poison.len(), MOST);
        assert!(!poison.has(JobKey(0)));
        poison.expire(Duration::from_secs(1), Duration::from_secs(1));
        assert_eq!(poison.len(), 0);
    }
}
