//! Answers that are stored for repeated requests, bounded in time and bytes.

mod index;
mod log;
mod page;
mod stored;

use std::time::Duration;

use trackyard_protocol::request::Tooling;
use trackyard_protocol::token::JobKey;

use super::{Ending, JobAnswer, Time};
use index::AnswerIndex;
use log::AnswerLog;

pub(super) use stored::Origin;

/// When the memory is full, this fraction of it is freed at once: one part in 64, some thousand answers.
const EVICTION_DIVISOR: usize = 64;

/// The stored answers.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    /// The answers that may be given. Other answers in the log wait there until they are the oldest.
    index: AnswerIndex,
    log: AnswerLog,
}

impl Answers {
    /// Stores an answer in place of an earlier one with the same key. Returns how many others were evicted. `unclaimed` is
    /// set if no client has had the answer yet.
    pub(crate) fn store(
        &mut self,
        key: JobKey,
        ending: &Ending,
        unclaimed: Option<Origin>,
        max_bytes: usize,
        now: Time,
    ) -> usize {
        let target_bytes = max_bytes - max_bytes / EVICTION_DIVISOR;
        if stored::size(ending) > target_bytes {
            self.forget(key);
            return 0;
        }
        let number = self.log.push(key, ending, unclaimed, now);
        self.index.insert(key, number, &self.log);
        if self.log.bytes() > max_bytes { self.make_room(target_bytes) } else { 0 }
    }

    /// Evicts the oldest answers until at most `bytes` are left, and returns their number. Many are evicted at a time,
    /// because they have left the processor's caches and load faster in sequence.
    fn make_room(&mut self, bytes: usize) -> usize {
        let mut evicted = 0;
        while self.log.bytes() > bytes {
            evicted += usize::from(self.pop());
        }
        evicted
    }

    /// Returns the stored answer to a repeated request. A `fresh` request gets only an answer that no client has had. An
    /// answer that must not be replayed is returned once. An answer from a worker that does not serve the tooling is never
    /// returned.
    pub(crate) fn claim(&mut self, key: JobKey, tooling: &Tooling, fresh: bool) -> Option<JobAnswer> {
        let number = self.index.find(key, &self.log)?;
        let unclaimed = self.log.get_mut(number)?.unclaimed.take();
        let replayed = unclaimed.is_none();
        if unclaimed.is_some_and(|origin| !origin.covers(tooling)) {
            self.index.remove(key, number);
            return None;
        }
        if replayed && fresh {
            return None;
        }
        let ending = self.log.ending(number)?;
        if !replayed && !ending.reason.is_replayable() {
            self.index.remove(key, number);
        }
        Some(JobAnswer { ending: ending.into(), replayed })
    }

    pub(crate) fn contains(&self, key: JobKey) -> bool {
        self.index.find(key, &self.log).is_some()
    }

    /// Removes answers that are older than `ttl`.
    pub(crate) fn expire(&mut self, ttl: Duration, now: Time) {
        while self.log.first().is_some_and(|(_, stored)| stored.at + ttl <= now) {
            self.pop();
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    /// Returns the number of bytes in use.
    pub(crate) fn bytes(&self) -> usize {
        self.log.bytes()
    }

    fn forget(&mut self, key: JobKey) {
        if let Some(number) = self.index.find(key, &self.log) {
            self.index.remove(key, number);
        }
    }

    /// Removes the oldest answer. Returns true if it could still have been given.
    fn pop(&mut self) -> bool {
        let Some((number, key)) = self.log.first().map(|(number, stored)| (number, stored.key)) else {
            return false;
        };
        self.log.pop();
        self.index.remove(key, number)
    }
}

#[cfg(test)]
mod tests {
    use super::stored::ANSWER_OVERHEAD;
    use super::*;
    use trackyard_protocol::channel::Channel;
    use trackyard_protocol::reason::Reason;

    const SECOND: Time = Duration::from_secs(1);

    fn ending(reason: Reason) -> Ending {
        Ending::new(reason, "")
    }

    fn tooling(track: &str) -> Tooling {
        Tooling { channel: Channel::TestRunners, track: track.parse().unwrap() }
    }

    fn origin(track: &str) -> Origin {
        Origin { channel: Channel::TestRunners, topics: [track.parse().unwrap()].into_iter().collect() }
    }

    #[test]
    fn answer_of_a_worker_for_another_track_is_never_given() {
        let mut answers = Answers::default();
        answers.store(JobKey(1), &ending(Reason::Ok), Some(origin("python")), 10_000, SECOND);
        assert_eq!(answers.claim(JobKey(1), &tooling("ruby"), false), None);
        assert_eq!(answers.len(), 0);
    }

    #[test]
    fn answer_is_replayed_until_it_expires() {
        let mut answers = Answers::default();
        answers.store(JobKey(1), &ending(Reason::Ok), None, 10_000, SECOND);
        assert!(answers.claim(JobKey(1), &tooling("ruby"), false).unwrap().replayed);
        assert_eq!(answers.claim(JobKey(1), &tooling("ruby"), true), None);
        answers.expire(SECOND, SECOND * 2);
        assert_eq!((answers.len(), answers.bytes()), (0, 0));
    }

    #[test]
    fn unclaimed_answer_is_given_once() {
        let mut answers = Answers::default();
        answers.store(JobKey(1), &ending(Reason::Download), Some(origin("ruby")), 10_000, SECOND);
        assert!(!answers.claim(JobKey(1), &tooling("ruby"), true).unwrap().replayed);
        assert_eq!(answers.claim(JobKey(1), &tooling("ruby"), false), None);
    }

    #[test]
    fn many_are_evicted_at_a_time() {
        let mut answers = Answers::default();
        let max_bytes = 2 * EVICTION_DIVISOR * ANSWER_OVERHEAD;
        let store = |answers: &mut Answers, key| {
            answers.store(JobKey(key), &ending(Reason::Ok), None, max_bytes, SECOND)
        };
        let full = 2 * EVICTION_DIVISOR as u128;
        (0..full).for_each(|key| assert_eq!(store(&mut answers, key), 0));
        assert_eq!(answers.bytes(), max_bytes);
        // Three answers are evicted; the first of them had been replaced by this one.
        assert_eq!(store(&mut answers, 0), 2);
        assert_eq!(answers.bytes(), max_bytes - 2 * ANSWER_OVERHEAD);
        assert!(answers.contains(JobKey(0)) && !answers.contains(JobKey(2)) && answers.contains(JobKey(3)));
    }

    #[test]
    fn answer_too_large_to_store_replaces_the_earlier_one() {
        let mut answers = Answers::default();
        answers.store(JobKey(1), &ending(Reason::Ok), None, 10_000, SECOND);
        let large = Ending::new(Reason::Ok, "x".repeat(10_000));
        assert_eq!(answers.store(JobKey(1), &large, None, 10_000, SECOND), 0);
        assert!(!answers.contains(JobKey(1)));
    }

    #[test]
    fn replaced_answers_leave_no_bytes_behind() {
        let mut answers = Answers::default();
        for round in 0..3 {
            for key in 0..4 {
                answers.store(JobKey(key), &ending(Reason::Ok), None, 2 * ANSWER_OVERHEAD, SECOND * round);
            }
        }
        assert_eq!((answers.len(), answers.bytes()), (2, 2 * ANSWER_OVERHEAD));
        assert!(answers.contains(JobKey(3)) && answers.contains(JobKey(2)));
    }
}
