//! The workers' side: their words in.

use trackyard_protocol::worker::FromWorker;

use super::peers::peer_of;
use super::{BATCH, Service};
use crate::dispatch::Event;
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
}
