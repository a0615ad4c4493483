//! A sorted set for entries that mostly arrive at the end and leave near the front, where a tree would cost several times
//! as much.

use std::collections::VecDeque;
use std::collections::vec_deque;

/// Entries in ascending order without duplicates.
#[derive(Debug, Clone)]
pub(crate) struct SortedQueue<T>(VecDeque<T>);

impl<T> Default for SortedQueue<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<T: Ord> SortedQueue<T> {
    /// Adds an entry. Returns false if it was already present.
    pub(crate) fn insert(&mut self, entry: T) -> bool {
        if self.0.back().is_none_or(|last| *last < entry) {
            self.0.push_back(entry);
            return true;
        }
        let position = self.0.binary_search(&entry);
        position.is_err_and(|position| {
            self.0.insert(position, entry);
            true
        })
    }

    /// Removes an entry. Returns false if it was not present.
    pub(crate) fn remove(&mut self, entry: &T) -> bool {
        if self.0.front() == Some(entry) {
            return self.0.pop_front().is_some();
        }
        self.0.binary_search(entry).is_ok_and(|position| self.0.remove(position).is_some())
    }

    pub(crate) fn first(&self) -> Option<&T> {
        self.0.front()
    }

    pub(crate) fn last(&self) -> Option<&T> {
        self.0.back()
    }

    pub(crate) fn iter(&self) -> vec_deque::Iter<'_, T> {
        self.0.iter()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T> IntoIterator for SortedQueue<T> {
    type Item = T;
    type IntoIter = vec_deque::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn behaves_like_a_sorted_set(steps in prop::collection::vec((any::<bool>(), 0..20u8), 0..60)) {
            let mut queue = SortedQueue::default();
            let mut set = BTreeSet::new();
            for (adds, entry) in steps {
                let changed = if adds { queue.insert(entry) } else { queue.remove(&entry) };
                prop_assert_eq!(changed, if adds { set.insert(entry) } else { set.remove(&entry) });
                prop_assert!(queue.iter().eq(&set));
                prop_assert_eq!((queue.first(), queue.last()), (set.first(), set.last()));
                prop_assert_eq!((queue.len(), queue.is_empty()), (set.len(), set.is_empty()));
            }
            prop_assert!(queue.into_iter().eq(set));
        }
    }
}
