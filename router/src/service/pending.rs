//! Pending requests: every request that was accepted and not answered yet.

use slab::Slab;
use trackyard_daemon::clock::Moment;
use trackyard_protocol::request::Action;

use crate::dispatch::{Peer, Waiter};

/// Number of low bits of a [`Waiter`] that are its index. There is no memory for 2³² requests.
const INDEX_BITS: u32 = 32;

/// A request that waits for its answer, and where the answer goes.
#[derive(Debug)]
pub(super) struct PendingRequest {
    /// The client's connection.
    pub(super) peer: Peer,
    /// The frames before the empty one; mostly there are none.
    pub(super) route: Vec<Vec<u8>>,
    /// The action, if it is known.
    pub(super) action: Option<Action>,
    /// The client's id, if there is one.
    pub(super) id: Option<String>,
    /// The time of receipt.
    pub(super) received: Moment,
}

/// All pending requests. A [`Waiter`] holds the index of its request, and a sequence number that tells it from earlier
/// requests at the same index.
#[derive(Debug, Default)]
pub(super) struct PendingRequests {
    requests: Slab<(Waiter, PendingRequest)>,
    sequence: u32,
}

impl PendingRequests {
    pub(super) fn insert(&mut self, request: PendingRequest) -> Waiter {
        // The counter wraps after 2³² requests; none that old is still pending.
        self.sequence = self.sequence.wrapping_add(1);
        let entry = self.requests.vacant_entry();
        let waiter = Waiter(u64::from(self.sequence) << INDEX_BITS | entry.key() as u64);
        entry.insert((waiter, request));
        waiter
    }

    /// Removes a request, so that it is answered once.
    pub(super) fn remove(&mut self, waiter: Waiter) -> Option<PendingRequest> {
        let index = usize::try_from(waiter.0 & ((1 << INDEX_BITS) - 1)).ok()?;
        let (stored, _) = self.requests.get(index)?;
        if *stored != waiter {
            return None;
        }
        self.requests.try_remove(index).map(|(_, request)| request)
    }

    pub(super) fn remove_all(&mut self) -> Vec<PendingRequest> {
        self.requests.drain().map(|(_, request)| request).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(peer: u64) -> PendingRequest {
        PendingRequest { peer: Peer(peer), route: vec![], action: None, id: None, received: Moment::now() }
    }

    #[test]
    fn request_is_removed_once_and_never_for_another() {
        let mut pending = PendingRequests::default();
        let [first, second] = [1, 2].map(|peer| pending.insert(request(peer)));
        assert_eq!(pending.remove(first).map(|request| request.peer), Some(Peer(1)));
        let third = pending.insert(request(3));
        assert!(pending.remove(first).is_none());
        assert_eq!(pending.remove(third).map(|request| request.peer), Some(Peer(3)));
        assert!(!pending.is_empty() && pending.remove(second).is_some() && pending.is_empty());
    }

    #[test]
    fn remove_all_invalidates_waiters() {
        let mut pending = PendingRequests::default();
        let [first, _, _] = [1, 2, 3].map(|peer| pending.insert(request(peer)));
        pending.remove(first);
        assert_eq!(pending.remove_all().len(), 2);
        assert!(pending.is_empty() && pending.remove(first).is_none());
        assert!(pending.insert(request(4)) != first && !pending.is_empty());
    }
}
