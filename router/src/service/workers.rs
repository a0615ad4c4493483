//! The workers' side: their words in, the dispatcher's words out.

use trackyard_protocol::worker::{FromRouter, FromWorker};

use super::peers::{peer_of, routing_id};
use super::{BATCH, Service};
use crate::dispatch::{Event, Peer};
use crate::socket::Frame;

/// The routing id and the four frames of a `Result`; and one more, by which a longer message is known.
const KEPT_FRAMES: usize = 6;

impl Service {
    /// Takes a batch of messages; how many there were.
    pub(super) fn take_workers(&mut self) -> usize {
        for taken in 0..BATCH {
            let Some(frames) = self.parts.ports.workers.receive(KEPT_FRAMES) else { return taken };
            self.take_word(frames);
        }
        BATCH
    }

    fn take_word(&mut self, mut frames: Vec<Frame>) {
        if frames.is_empty() {
            return;
        }
        let words = frames.split_off(1);
        let Some(peer) = frames.first().and_then(|id| peer_of(id.as_ref())) else {
            return self.parts.metrics.stranger();
        };
        match FromWorker::decode(words) {
            Ok(message) => self.feed(Event::Worker { peer, message }),
            Err(error) => {
                tracing::debug!(%error, peer = peer.0, "a worker's message is ignored");
                self.parts.metrics.undecodable(&error);
            }
        }
    }

    /// Sends to a worker; false if its connection is dead or takes nothing more.
    pub(super) fn send_worker(&self, peer: Peer, message: &FromRouter) -> bool {
        let id = Frame::from(routing_id(peer).as_slice());
        let words = message.encode().into_iter().map(Frame::from);
        let sent = self.parts.ports.workers.send(std::iter::once(id).chain(words));
        if let Err(error) = sent {
            tracing::debug!(%error, peer = peer.0, word = message.word(), "a worker was not reached");
        }
        sent.is_ok()
    }
}
