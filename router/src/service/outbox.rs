//! What a turn wants sent, sent at its end. In one go, because libzmq's thread wakes for the first message and finds
//! the others there, instead of waking for each and taking the processor from this thread. And what one worker is told
//! goes as one message, if it reads batches.

use trackyard_protocol::worker::{Batch, FromRouter};

use super::peers::routing_id;
use super::{Batches, Service};
use crate::dispatch::{Event, Peer};
use crate::socket::{Frame, Port, PortKind, SendError};

/// What waits for the end of the turn.
#[derive(Default)]
pub(super) struct Outbox {
    answers: Vec<(PortKind, Vec<Frame>)>,
    words: Batches,
}

impl Outbox {
    pub(super) fn answer(&mut self, by: PortKind, frames: Vec<Frame>) {
        self.answers.push((by, frames));
    }

    pub(super) fn word(&mut self, peer: Peer, message: &FromRouter) {
        self.words.word(peer, message);
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
        let (batches, dispatch, port) = (self.outbox.words.take(), &self.dispatch, &self.parts.ports.workers);
        for (peer, batch) in &batches {
            // Nothing may follow a message that was lost.
            if gone.contains(peer) {
                continue;
            }
            if let Err(error) = send(port, *peer, batch, dispatch.reads_batches(*peer)) {
                tracing::debug!(%error, peer = peer.0, "a worker was not reached");
                gone.push(*peer);
            }
        }
        self.outbox.words.reuse(batches);
        gone
    }
}

fn send(port: &Port, to: Peer, batch: &Batch, reads_batches: bool) -> Result<(), SendError> {
    batch.messages(reads_batches).try_for_each(|message| {
        let frames = message.frames().iter().map(|frame| Frame::from(*frame));
        port.send(std::iter::once(Frame::from(routing_id(to).as_slice())).chain(frames))
    })
}
