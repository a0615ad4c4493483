//! Answers kept for repeated requests, bounded in time and bytes.

use std::collections::VecDeque;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use trackyard_protocol::channel::{Channel, Topics};
use trackyard_protocol::request::Place;
use trackyard_protocol::token::JobKey;

use super::number::SeededMap;
use super::worker::About;
use super::{Answer, Ending, Output, Time};

/// What an answer takes besides its texts.
const OVERHEAD: usize = 512;

/// The stored answers.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    stored: SeededMap<JobKey, Stored>,
    /// In order of storing; an entry whose number is no longer the stored one is left over and skipped.
    order: VecDeque<(Time, JobKey, u64)>,
    bytes: usize,
    number: u64,
}

#[derive(Debug)]
struct Stored {
    ending: Arc<Ending>,
    bytes: usize,
    number: u64,
    /// No client had it yet, because its job outlived the router that took the request: who gave it. Rare, and so in
    /// memory of its own.
    unclaimed: Option<Box<Origin>>,
}

/// What the worker serves that gave an answer to a job that was known by its key alone.
#[derive(Debug)]
pub(crate) struct Origin {
    channel: Channel,
    topics: Topics,
}

impl From<&About> for Origin {
    fn from(about: &About) -> Self {
        Self { channel: about.channel, topics: about.topics.clone() }
    }
}

impl Origin {
    fn covers(&self, place: &Place) -> bool {
        place.is_covered_by(self.channel, &self.topics)
    }
}

impl Answers {
    /// Stores an answer in place of an earlier one with the same key. Returns how many others had to go.
    pub(crate) fn store(
        &mut self,
        key: JobKey,
        ending: Arc<Ending>,
        unclaimed: Option<Origin>,
        max_bytes: usize,
        now: Time,
    ) -> usize {
        self.forget(key);
        let bytes = size(&ending);
        if bytes > max_bytes {
            return 0;
        }
        self.number += 1;
        self.bytes += bytes;
        self.order.push_back((now, key, self.number));
        let unclaimed = unclaimed.map(Box::new);
        self.stored.insert(key, Stored { ending, bytes, number: self.number, unclaimed });
        let mut evicted = 0;
        while self.bytes > max_bytes && self.pop() {
            evicted += 1;
        }
        evicted
    }

    /// The answer to a repeated request. A `fresh` one gets only what no client had yet; what must not be replayed
    /// is given once; and what a worker gave that serves no such job, never.
    pub(crate) fn claim(&mut self, key: JobKey, place: &Place, fresh: bool) -> Option<Answer> {
        let stored = self.stored.get_mut(&key)?;
        if let Some(origin) = stored.unclaimed.take() {
            if !origin.covers(place) {
                self.forget(key);
                return None;
            }
            let ending = Arc::clone(&stored.ending);
            if !ending.reason.is_storable() {
                self.forget(key);
            }
            return Some(ending.into());
        }
        (!fresh).then(|| Answer { ending: Arc::clone(&stored.ending), replayed: true })
    }

    pub(crate) fn has(&self, key: JobKey) -> bool {
        self.stored.contains_key(&key)
    }

    /// Forgets what is older than `ttl`.
    pub(crate) fn expire(&mut self, ttl: Duration, now: Time) {
        while self.order.front().is_some_and(|(at, ..)| *at + ttl <= now) {
            self.pop();
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.stored.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    fn forget(&mut self, key: JobKey) {
        if let Some(stored) = self.stored.remove(&key) {
            self.bytes -= stored.bytes;
        }
    }

    /// Forgets the oldest; false if there is none.
    fn pop(&mut self) -> bool {
        let Some((_, key, number)) = self.order.pop_front() else { return false };
        if let Entry::Occupied(stored) = self.stored.entry(key)
            && stored.get().number == number
        {
            self.bytes -= stored.remove().bytes;
        }
        true
    }
}

fn size(ending: &Ending) -> usize {
    let output = ending.output.as_ref().map_or(0, Output::bytes);
    OVERHEAD + output + ending.message.len() + ending.error_detail.as_ref().map_or(0, String::len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use trackyard_protocol::reason::Reason;

    const SECOND: Time = Duration::from_secs(1);

    fn ending(reason: Reason) -> Arc<Ending> {
        Ending::new(reason, "").into()
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
        answers.store(JobKey(1), ending(Reason::Ok), Some(origin("python")), 10_000, SECOND);
        assert_eq!(answers.claim(JobKey(1), &place("ruby"), false), None);
        assert_eq!((answers.len(), answers.bytes()), (0, 0));
    }

    #[test]
    fn an_answer_is_replayed_until_it_expires() {
        let mut answers = Answers::default();
        answers.store(JobKey(1), ending(Reason::Ok), None, 10_000, SECOND);
        assert!(answers.claim(JobKey(1), &place("ruby"), false).unwrap().replayed);
        assert_eq!(answers.claim(JobKey(1), &place("ruby"), true), None);
        answers.expire(SECOND, SECOND * 2);
        assert_eq!((answers.len(), answers.bytes()), (0, 0));
    }

    #[test]
    fn what_no_client_had_is_given_even_to_a_fresh_request_and_a_passing_failure_only_once() {
        let mut answers = Answers::default();
        answers.store(JobKey(1), ending(Reason::Download), Some(origin("ruby")), 10_000, SECOND);
        assert!(!answers.claim(JobKey(1), &place("ruby"), true).unwrap().replayed);
        assert_eq!(answers.claim(JobKey(1), &place("ruby"), false), None);
    }

    #[test]
    fn the_oldest_make_room_and_a_replaced_answer_leaves_nothing() {
        let mut answers = Answers::default();
        for round in 0..3 {
            for key in 0..4 {
                answers.store(JobKey(key), ending(Reason::Ok), None, 2 * OVERHEAD, SECOND * round);
            }
        }
        assert_eq!((answers.len(), answers.bytes()), (2, 2 * OVERHEAD));
        assert!(answers.has(JobKey(3)) && answers.has(JobKey(2)));
        assert!(answers.order.len() <= 12);
    }
}
