//! Who waits for an answer: every request that was accepted and not answered yet.

use trackyard_daemon::clock::Moment;
use trackyard_protocol::request::Action;

use crate::dispatch::{Peer, Waiter};

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
    places: Vec<Option<(Waiter, Way)>>,
    free: Vec<u32>,
    count: u32,
}

impl Waiters {
    pub(super) fn add(&mut self, way: Way) -> Waiter {
        let end = u32::try_from(self.places.len()).unwrap_or(u32::MAX);
        let place = self.free.pop().unwrap_or(end);
        // None is left of those who came four thousand million requests ago.
        self.count = self.count.wrapping_add(1);
        let waiter = Waiter(u64::from(self.count) << 32 | u64::from(place));
        match self.places.get_mut(place as usize) {
            Some(free) => *free = Some((waiter, way)),
            None => self.places.push(Some((waiter, way))),
        }
        waiter
    }

    /// Takes a waiter out: each is answered once.
    pub(super) fn take(&mut self, waiter: Waiter) -> Option<Way> {
        let place = u32::try_from(waiter.0 & u64::from(u32::MAX)).ok()?;
        let held = self.places.get_mut(place as usize)?;
        let (_, way) = held.take_if(|(own, _)| *own == waiter)?;
        self.free.push(place);
        Some(way)
    }

    pub(super) fn take_all(&mut self) -> Vec<Way> {
        self.free.clear();
        self.places.drain(..).flatten().map(|(_, way)| way).collect()
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.places.len() == self.free.len()
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
