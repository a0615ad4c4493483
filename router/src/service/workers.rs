//! The workers' side: their words in.

use trackyard_protocol::allowed::Right;
use trackyard_protocol::worker::FromWorker;

use super::peers::peer_of;
use super::{BATCH, Service};
use crate::dispatch::Event;
use crate::socket::{Frame, PortKind};

/// The routing id and the four frames of a `Result`; and one more, by which a longer message is known.
const KEPT_FRAMES: usize = 6;

impl Service {
    /// Takes a batch of messages; how many there were.
    pub(super) fn take_workers(&mut self) -> usize {
        for taken in 0..BATCH {
            let Some(frames) = self.parts.ports.workers.receive(KEPT_FRAMES) else { return taken };
            self.take_message(frames);
        }
        BATCH
    }

    fn take_message(&mut self, mut frames: Vec<Frame>) {
        let Some((id, words)) = frames.split_first_mut() else { return };
        let Some(peer) = peer_of(id.as_ref()) else { return self.parts.metrics.stranger() };
        if !self.may_work(words.last_mut()) {
            self.parts.metrics.refused_key(PortKind::Workers);
            return self.feed(Event::Gone { peer });
        }
        for word in FromWorker::decode_each(words) {
            match word {
                Ok(message) => self.feed(Event::Worker { peer, message }),
                Err(error) => {
                    tracing::debug!(%error, peer = peer.0, "a worker's word is ignored");
                    self.parts.metrics.undecodable(&error);
                }
            }
        }
    }

    /// Asked for each message, because a key may be revoked while its connection is open, which libzmq cannot close.
    fn may_work(&self, word: Option<&mut Frame>) -> bool {
        let Some(keyring) = &self.parts.keyring else { return true };
        word.and_then(Frame::peer_key).is_some_and(|key| keyring.may(key, Right::Work))
    }
}
