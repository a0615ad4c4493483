//! Answers kept for repeated requests, bounded in time and bytes.

mod index;
mod log;
mod page;
mod stored;

use std::time::Duration;

use trackyard_protocol::request::Place;
use trackyard_protocol::token::JobKey;

use super::{Answer, Ending, Time};
use index::Index;
use log::Log;

pub(super) use stored::Origin;

/// When there is no room any more, this part of it is made: some thousand answers.
const ROOM: usize = 64;

/// The stored answers.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    /// What may be given; what else the log has waits there for its turn to be forgotten.
    index: Index,
    log: Log,
}

impl Answers {
    /// Stores an answer in place of an earlier one with the same key. Returns how many others had to go.
    pub(crate) fn store(
        &mut self,
        key: JobKey,
        ending: &Ending,
        unclaimed: Option<Origin>,
        max_bytes: usize,
        now: Time,
    ) -> usize {
        let enough = max_bytes - max_bytes / ROOM;
        if stored::size(ending) > enough {
            self.forget(key);
            return 0;
        }
        let number = self.log.push(key, ending, unclaimed, now);
        self.index.insert(key, number, &self.log);
        if self.log.bytes() > max_bytes { self.make_room(enough) } else { 0 }
    }

    /// Forgets the oldest until no more is left than `bytes`. Many at a time: what is looked at has left the processor's
    /// caches long ago, and comes in faster in a row.
    fn make_room(&mut self, bytes: usize) -> usize {
        let mut evicted = 0;
        while self.log.bytes() > bytes {
            evicted += usize::from(self.pop());
        }
        evicted
    }

    /// The answer to a repeated request. A `fresh` one gets only what no client had yet; what must not be replayed
    /// is given once; and what a worker gave that serves no such job, never.
    pub(crate) fn claim(&mut self, key: JobKey, place: &Place, fresh: bool) -> Option<Answer> {
        let number = self.index.find(key, &self.log)?;
        let unclaimed = self.log.get_mut(number)?.unclaimed.take();
        let replayed = unclaimed.is_none();
        if unclaimed.is_some_and(|origin| !origin.covers(place)) {
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
        Some(Answer { ending: ending.into(), replayed })
    }

    pub(crate) fn has(&self, key: JobKey) -> bool {
        self.index.find(key, &self.log).is_some()
    }

    /// Forgets what is older than `ttl`.
    pub(crate) fn expire(&mut self, ttl: Duration, now: Time) {
        while self.log.first().is_some_and(|(_, stored)| stored.at + ttl <= now) {
            self.pop();
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    /// Bytes that are taken.
    pub(crate) fn bytes(&self) -> usize {
        self.log.bytes()
    }

    fn forget(&mut self, key: JobKey) {
        if let Some(number) = self.index.find(key, &self.log) {
            self.index.remove(key, number);
        }
    }

    /// Forgets the oldest; true if it might still have been given.
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
    use super::stored::OVERHEAD;
    use super::*;
    use trackyard_protocol::channel::Channel;
    use trackyard_protocol::reason::Reason;

    const SECOND: Time = Duration::from_secs(1);

    fn ending(reason: Reason) -> Ending {
        Ending::new(reason, "")
    }

    fn place(track: &str) -> Place {
        Place { channel: Channel::TestRunners, track: track.parse().unwrap() }
    }

    fn origin(track: &str) -> Origin {
        Origin { channel: Channel::TestRunners, topics: [track.parse().unwrap()].into_iter().collect() }
    }

    #[test]
    fn an_answer_of_a_worker_that_serves_another_track_is_nobodys() {
        let mut answers = Answers::default();
        answers.store(JobKey(1), &ending(Reason::Ok), Some(origin("python")), 10_000, SECOND);
        assert_eq!(answers.claim(JobKey(1), &place("ruby"), false), None);
        assert_eq!(answers.len(), 0);
    }

    #[test]
    fn an_answer_is_replayed_until_it_expires() {
        let mut answers = Answers::default();
        answers.store(JobKey(1), &ending(Reason::Ok), None, 10_000, SECOND);
        assert!(answers.claim(JobKey(1), &place("ruby"), false).unwrap().replayed);
        assert_eq!(answers.claim(JobKey(1), &place("ruby"), true), None);
        answers.expire(SECOND, SECOND * 2);
        assert_eq!((answers.len(), answers.bytes()), (0, 0));
    }

    #[test]
    fn what_no_client_had_is_given_even_to_a_fresh_request_and_a_passing_failure_only_once() {
        let mut answers = Answers::default();
        answers.store(JobKey(1), &ending(Reason::Download), Some(origin("ruby")), 10_000, SECOND);
        assert!(!answers.claim(JobKey(1), &place("ruby"), true).unwrap().replayed);
        assert_eq!(answers.claim(JobKey(1), &place("ruby"), false), None);
    }

    #[test]
    fn room_is_made_for_many_at_a_time_and_only_what_could_be_given_counts() {
        let (mut answers, most) = (Answers::default(), 2 * ROOM * OVERHEAD);
        let store =
            |answers: &mut Answers, key| answers.store(JobKey(key), &ending(Reason::Ok), None, most, SECOND);
        let full = 2 * ROOM as u128;
        (0..full).for_each(|key| assert_eq!(store(&mut answers, key), 0));
        assert_eq!(answers.bytes(), most);
        // Of the three oldest that go the first is replaced by this one.
        assert_eq!(store(&mut answers, 0), 2);
        assert_eq!(answers.bytes(), most - 2 * OVERHEAD);
        assert!(answers.has(JobKey(0)) && !answers.has(JobKey(2)) && answers.has(JobKey(3)));
    }

    #[test]
    fn an_answer_for_which_there_is_no_room_at_all_takes_the_place_of_the_earlier_one() {
        let mut answers = Answers::default();
        answers.store(JobKey(1), &ending(Reason::Ok), None, 10_000, SECOND);
        let large = Ending::new(Reason::Ok, "x".repeat(10_000));
        assert_eq!(answers.store(JobKey(1), &large, None, 10_000, SECOND), 0);
        assert!(!answers.has(JobKey(1)));
    }

    #[test]
    fn the_oldest_make_room_and_a_replaced_answer_leaves_nothing() {
        let mut answers = Answers::default();
        for round in 0..3 {
            for key in 0..4 {
                answers.store(JobKey(key), &ending(Reason::Ok), None, 2 * OVERHEAD, SECOND * round);
            }
        }
        assert_eq!((answers.len(), answers.bytes()), (2, 2 * OVERHEAD));
        assert!(answers.has(JobKey(3)) && answers.has(JobKey(2)));
    }
}
