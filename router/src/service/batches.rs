//! What workers are told in a turn, by connection.

use std::mem::take;

use trackyard_protocol::worker::{Batch, FromRouter};

use crate::dispatch::{Map, Peer};

/// Batches whose memory is kept, each of some tens of kilobytes.
const MOST_SPARE: usize = 64;

/// Words that leave together. What is for one connection stays in order.
#[derive(Debug, Default)]
pub struct Batches {
    batches: Vec<(Peer, Batch)>,
    /// Where a connection's last batch is.
    last: Map<Peer, usize>,
    /// Batches that were sent, for their memory.
    spare: Vec<Batch>,
}

impl Batches {
    /// Adds a word.
    pub fn word(&mut self, peer: Peer, message: &FromRouter) {
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

    /// True if there is nothing to send.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Takes all out; a connection may have several batches, which are in order.
    #[must_use]
    pub fn take(&mut self) -> Vec<(Peer, Batch)> {
        self.last.clear();
        take(&mut self.batches)
    }

    /// Takes back the memory of what was sent.
    pub(super) fn reuse(&mut self, sent: Vec<(Peer, Batch)>) {
        let room = MOST_SPARE.saturating_sub(self.spare.len());
        self.spare.extend(sent.into_iter().take(room).map(|(_, mut batch)| {
            batch.clear();
            batch
        }));
    }
}
