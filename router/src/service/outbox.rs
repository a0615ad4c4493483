//! What a turn wants sent, sent at its end. In one go, because libzmq's thread wakes for the first message and finds
//! the others there, instead of waking for each and taking the processor from this thread.

use trackyard_protocol::worker::FromRouter;

use super::Service;
use super::peers::routing_id;
use crate::dispatch::{Event, Peer};
use crate::socket::{Frame, PortKind, SendError};

/// Messages that wait for the end of the turn, in the order in which they were wanted.
#[derive(Default)]
pub(super) struct Outbox {
    answers: Vec<(PortKind, Vec<Frame>)>,
    words: Vec<(Peer, Vec<Frame>)>,
}

impl Outbox {
    pub(super) fn answer(&mut self, by: PortKind, frames: Vec<Frame>) {
        self.answers.push((by, frames));
    }

    pub(super) fn word(&mut self, peer: Peer, message: &FromRouter) {
        let id = Frame::from(routing_id(peer).as_slice());
        let words = message.encode().into_iter().map(Frame::from);
        self.words.push((peer, std::iter::once(id).chain(words).collect()));
    }
}

impl Service {
    /// Sends everything. A worker whose connection is dead or takes nothing more is an event, which may want more
    /// sent.
    pub(super) fn flush(&mut self) {
        loop {
            self.flush_answers();
            let gone = self.flush_words();
            if gone.is_empty() {
                return;
            }
            gone.into_iter().for_each(|peer| self.feed(Event::Gone { peer }));
        }
    }

    fn flush_answers(&mut self) {
        for (by, frames) in self.outbox.answers.drain(..) {
            let sent = self.parts.ports.of(by).map_or(Err(SendError::Gone), |port| port.send(frames));
            if let Err(error) = sent {
                tracing::debug!(%error, "an answer was not delivered");
                self.parts.metrics.undelivered();
            }
        }
    }

    /// The workers that were not reached.
    fn flush_words(&mut self) -> Vec<Peer> {
        let mut gone = Vec::new();
        for (peer, frames) in self.outbox.words.drain(..) {
            // Nothing may follow a message that was lost.
            if gone.contains(&peer) {
                continue;
            }
            if let Err(error) = self.parts.ports.workers.send(frames) {
                tracing::debug!(%error, peer = peer.0, "a worker was not reached");
                gone.push(peer);
            }
        }
        gone
    }
}
