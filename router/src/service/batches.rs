//! Messages for workers, packed into one batch for each connection.

use trackyard_protocol::worker::{Batch, FromRouter};

use crate::dispatch::{IdMap, Peer};

/// Maximum number of sent batches whose memory is kept, some tens of kilobytes each.
const MAX_SPARE_BATCHES: usize = 64;

/// Messages that leave together. Those for one connection stay in order.
#[derive(Debug, Default)]
pub struct Batches {
    batches: Vec<(Peer, Batch)>,
    /// The index of each connection's last batch.
    last: IdMap<Peer, usize>,
    /// Sent batches, for their memory.
    spare: Vec<Batch>,
}

impl Batches {
    /// Adds a message.
    pub fn push(&mut self, peer: Peer, message: &FromRouter) {
        let last = self.last.get(&peer).and_then(|index| self.batches.get_mut(*index));
        if let Some((_, batch)) = last
            && message.pack(batch)
        {
            return;
        }
        let mut batch = self.spare.pop().unwrap_or_default();
        message.pack(&mut batch);
        self.last.insert(peer, self.batches.len());
        self.batches.push((peer, batch));
    }

    /// Returns true if there is nothing to send.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Removes all batches. A connection may have several, in order.
    #[must_use]
    pub fn take(&mut self) -> Vec<(Peer, Batch)> {
        self.last.clear();
        std::mem::take(&mut self.batches)
    }

    /// Keeps the memory of sent batches.
    pub(super) fn reuse(&mut self, sent: Vec<(Peer, Batch)>) {
        let room = MAX_SPARE_BATCHES.saturating_sub(self.spare.len());
        self.spare.extend(sent.into_iter().take(room).map(|(_, mut batch)| {
            batch.clear();
            batch
        }));
    }
}
