//! The workers' side of the service: their messages in.

use trackyard_protocol::allowed::Right;
use trackyard_protocol::worker::FromWorker;
use trackyard_zmtp::Message;

use super::Service;
use crate::dispatch::Event;
use crate::socket::{Origin, PortKind};

/// Maximum number of frames that are decoded: the four of a `Result`, and one more, by which a longer message is noticed.
const MAX_FRAMES: usize = 5;

impl Service {
    /// Takes a ZeroMQ message of a worker, which may be a batch.
    pub(super) fn on_worker_batch(&mut self, from: &Origin, batch: Message<'_>) {
        let peer = from.peer;
        if !self.may_work(from) {
            self.parts.metrics.refused_key(PortKind::Workers);
            return self.outbox.close(peer);
        }
        let frames: Vec<&[u8]> = batch.iter().take(MAX_FRAMES).collect();
        for message in FromWorker::decode_each(&frames) {
            match message {
                Ok(message) => self.feed(Event::Worker { peer, message }),
                Err(error) => {
                    tracing::debug!(%error, peer = peer.0, "ignored a malformed message of a worker");
                    self.parts.metrics.malformed(&error);
                }
            }
        }
    }

    /// Returns true if the key is still allowed. A key may be revoked while its connection is open.
    fn may_work(&self, from: &Origin) -> bool {
        let Some(keyring) = &self.parts.keyring else { return true };
        from.key.as_ref().is_some_and(|key| keyring.may(key.as_str(), Right::Work))
    }
}
