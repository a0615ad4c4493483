//! Where in the log the answer to a job's key is. An entry is four bytes of the key's hash and the answer's number: of
//! some hundred thousand answers most then are found in the processor's caches. The keys themselves are in the log.

use std::hash::BuildHasher;

use hashbrown::HashTable;
use hashbrown::hash_table::OccupiedEntry;
use trackyard_protocol::token::JobKey;

use super::log::Log;
use super::stored::Number;
use crate::dispatch::ids::Seeded;

/// The numbers of the answers that may be given.
#[derive(Debug, Default)]
pub(super) struct Index {
    entries: HashTable<Entry>,
    hasher: Seeded,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    tag: u32,
    number: Number,
}

impl Index {
    pub(super) fn find(&self, key: JobKey, log: &Log) -> Option<Number> {
        let tag = self.tag(key);
        self.entries.find(spread(tag), |entry| entry.is_of(tag, key, log)).map(|entry| entry.number)
    }

    /// Notes the number of a key's answer, in place of an earlier one.
    pub(super) fn insert(&mut self, key: JobKey, number: Number, log: &Log) {
        let tag = self.tag(key);
        match self.entries.find_mut(spread(tag), |entry| entry.is_of(tag, key, log)) {
            Some(entry) => entry.number = number,
            None => {
                let entry = Entry { tag, number };
                self.entries.insert_unique(spread(tag), entry, |entry| spread(entry.tag));
            }
        }
    }

    /// Forgets a number, which is this key's; false if the key has another by now, or none.
    pub(super) fn remove(&mut self, key: JobKey, number: Number) -> bool {
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
    fn is_of(self, tag: u32, key: JobKey, log: &Log) -> bool {
        self.tag == tag && log.key(self.number) == Some(key)
    }
}

/// The table looks at the lowest and the highest bits of a hash.
fn spread(tag: u32) -> u64 {
    u64::from(tag).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::{Ending, Time};
    use trackyard_protocol::reason::Reason;

    #[test]
    fn of_two_keys_with_one_tag_each_has_its_own_answer() {
        let mut log = Log::default();
        let number = log.push(JobKey(1), &Ending::new(Reason::Ok, ""), None, Time::ZERO);
        let entry = Entry { tag: 7, number };
        assert!(entry.is_of(7, JobKey(1), &log));
        assert!(!entry.is_of(7, JobKey(2), &log) && !entry.is_of(8, JobKey(1), &log));
        log.pop();
        assert!(!entry.is_of(7, JobKey(1), &log));
    }
}
