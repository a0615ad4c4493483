//! Finds the answer to a job's key in the log. An entry has four bytes of the key's hash and the answer's number, so that
//! the index of some hundred thousand answers fits the processor's caches. The keys themselves are in the log.

use std::hash::BuildHasher;

use hashbrown::HashTable;
use hashbrown::hash_table::OccupiedEntry;
use trackyard_protocol::token::JobKey;

use super::log::AnswerLog;
use super::stored::AnswerNumber;
use crate::dispatch::ids::SeededState;

/// The numbers of the answers that may be given, by key.
#[derive(Debug, Default)]
pub(super) struct AnswerIndex {
    entries: HashTable<Entry>,
    hasher: SeededState,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    tag: u32,
    number: AnswerNumber,
}

impl AnswerIndex {
    pub(super) fn find(&self, key: JobKey, log: &AnswerLog) -> Option<AnswerNumber> {
        let tag = self.tag(key);
        self.entries.find(spread(tag), |entry| entry.matches(tag, key, log)).map(|entry| entry.number)
    }

    /// Sets the number of a key's answer, in place of an earlier one.
    pub(super) fn insert(&mut self, key: JobKey, number: AnswerNumber, log: &AnswerLog) {
        let tag = self.tag(key);
        match self.entries.find_mut(spread(tag), |entry| entry.matches(tag, key, log)) {
            Some(entry) => entry.number = number,
            None => {
                let entry = Entry { tag, number };
                self.entries.insert_unique(spread(tag), entry, |entry| spread(entry.tag));
            }
        }
    }

    /// Removes a key's number. Returns false if the key now has another number, or none.
    pub(super) fn remove(&mut self, key: JobKey, number: AnswerNumber) -> bool {
        let found = self.entries.find_entry(spread(self.tag(key)), |entry| entry.number == number);
        found.map(OccupiedEntry::remove).is_ok()
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    fn tag(&self, key: JobKey) -> u32 {
        (self.hasher.hash_one(key) >> 32) as u32
    }
}

impl Entry {
    fn matches(self, tag: u32, key: JobKey, log: &AnswerLog) -> bool {
        self.tag == tag && log.key(self.number) == Some(key)
    }
}

/// Spreads a tag over 64 bits, because the table uses the lowest and the highest bits of a hash.
fn spread(tag: u32) -> u64 {
    u64::from(tag).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::{Ending, Time};
    use trackyard_protocol::reason::Reason;

    #[test]
    fn keys_with_the_same_tag_have_their_own_answers() {
        let mut log = AnswerLog::default();
        let number = log.push(JobKey(1), &Ending::new(Reason::Ok, ""), None, Time::ZERO);
        let entry = Entry { tag: 7, number };
        assert!(entry.matches(7, JobKey(1), &log));
        assert!(!entry.matches(7, JobKey(2), &log) && !entry.matches(8, JobKey(1), &log));
        log.pop();
        assert!(!entry.matches(7, JobKey(1), &log));
    }
}
