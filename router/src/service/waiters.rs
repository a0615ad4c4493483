//! Who waits for an answer: every request that was accepted and not answered yet.

use trackyard_daemon::clock::Moment;
use trackyard_protocol::request::Action;

use crate::dispatch::{Map, Peer, Waiter};

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

/// Everyone who waits.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    next: u64,
    ways: Map<Waiter, Way>,
}

impl Waiters {
    pub(super) fn add(&mut self, way: Way) -> Waiter {
        let waiter = Waiter(self.next);
        self.next += 1;
        self.ways.insert(waiter, way);
        waiter
    }

    /// Takes a waiter out: each is answered once.
    pub(super) fn take(&mut self, waiter: Waiter) -> Option<Way> {
        self.ways.remove(&waiter)
    }

    pub(super) fn take_all(&mut self) -> Vec<Way> {
        self.ways.drain().map(|(_, way)| way).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ways.is_empty()
    }
}
