//! Who waits for an answer: every request that was accepted and not answered yet.

use slab::Slab;
use trackyard_daemon::clock::Moment;
use trackyard_protocol::request::Action;

use crate::dispatch::{Peer, Waiter};

/// Bits of a waiter's number that say where it is: more of them no memory has room for.
const PLACE_BITS: u32 = 32;

/// A client that waits, and the way back to it.
#[derive(Debug)]
pub(super) struct Way {
    /// The connection that it came by.
    pub(super) peer: Peer,
    /// The frames before the empty one; mostly none.
    pub(super) route: Vec<Vec<u8>>,
    /// What it asked for, once that is known.
    pub(super) action: Option<Action>,
    /// Its id, as far as it gave one.
    pub(super) id: Option<String>,
    /// When the request came.
    pub(super) received: Moment,
}

/// Everyone who waits. A waiter's number says where its way is, and which of all that were there it is.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    ways: Slab<(Waiter, Way)>,
    count: u32,
}

impl Waiters {
    pub(super) fn add(&mut self, way: Way) -> Waiter {
        // None is left of those who came four thousand million requests ago.
        self.count = self.count.wrapping_add(1);
        let free = self.ways.vacant_entry();
        let waiter = Waiter(u64::from(self.count) << PLACE_BITS | free.key() as u64);
        free.insert((waiter, way));
        waiter
    }

    /// Takes a waiter out: each is answered once.
    pub(super) fn take(&mut self, waiter: Waiter) -> Option<Way> {
        let place = usize::try_from(waiter.0 & ((1 << PLACE_BITS) - 1)).ok()?;
        let (own, _) = self.ways.get(place)?;
        if *own != waiter {
            return None;
        }
        self.ways.try_remove(place).map(|(_, way)| way)
    }

    pub(super) fn take_all(&mut self) -> Vec<Way> {
        self.ways.drain().map(|(_, way)| way).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ways.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(peer: u64) -> Way {
        Way { peer: Peer(peer), route: vec![], action: None, id: None, received: Moment::now() }
    }

    #[test]
    fn each_is_taken_once_and_never_for_another() {
        let mut waiters = Waiters::default();
        let [first, second] = [1, 2].map(|peer| waiters.add(way(peer)));
        assert_eq!(waiters.take(first).map(|way| way.peer), Some(Peer(1)));
        let third = waiters.add(way(3));
        assert!(waiters.take(first).is_none());
        assert_eq!(waiters.take(third).map(|way| way.peer), Some(Peer(3)));
        assert!(!waiters.is_empty() && waiters.take(second).is_some() && waiters.is_empty());
    }

    #[test]
    fn those_who_are_left_are_taken_together() {
        let mut waiters = Waiters::default();
        let [first, _, _] = [1, 2, 3].map(|peer| waiters.add(way(peer)));
        waiters.take(first);
        assert_eq!(waiters.take_all().len(), 2);
        assert!(waiters.is_empty() && waiters.take(first).is_none());
        assert!(waiters.add(way(4)) != first && !waiters.is_empty());
    }
}
