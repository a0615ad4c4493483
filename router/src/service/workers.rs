//! The workers' side: their words in.

use trackyard_protocol::allowed::Right;
use trackyard_protocol::worker::FromWorker;
use trackyard_zmtp::Message;

use super::Service;
use crate::dispatch::Event;
use crate::socket::{Origin, PortKind};

/// The four frames of a `Result`; and one more, by which a longer message is known.
const KEPT_FRAMES: usize = 5;

impl Service {
    pub(super) fn take_words(&mut self, from: &Origin, message: Message<'_>) {
        let peer = from.peer;
        if !self.may_work(from) {
            self.parts.metrics.refused_key(PortKind::Workers);
            return self.outbox.end(peer);
        }
        let frames: Vec<&[u8]> = message.iter().take(KEPT_FRAMES).collect();
        for word in FromWorker::decode_each(&frames) {
            match word {
                Ok(message) => self.feed(Event::Worker { peer, message }),
                Err(error) => {
                    tracing::debug!(%error, peer = peer.0, "a worker's word is ignored");
                    self.parts.metrics.undecodable(&error);
                }
            }
        }
    }

    /// Asked for each message, because a key may be revoked while its connection is open.
    fn may_work(&self, from: &Origin) -> bool {
        let Some(keyring) = &self.parts.keyring else { return true };
        from.key.as_ref().is_some_and(|key| keyring.may(key.as_str(), Right::Work))
    }
}
