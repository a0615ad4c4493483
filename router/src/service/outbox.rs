//! Messages that wait to be sent. Answers leave at the end of an iteration, so that those for one client leave together.
//! Messages to workers leave whenever a worker's messages were handled, and at the end; a worker that reads batches gets
//! them as one ZeroMQ message.

use std::ops::Range;

use smallvec::SmallVec;
use trackyard_protocol::worker::{Batch, FromRouter};

use super::{Batches, Service};
use crate::dispatch::{Event, Peer};
use crate::socket::{Ports, SendError};

/// Maximum bytes of answers that wait for the end of an iteration, and of memory that is kept for the next.
const MAX_BUFFERED_BYTES: usize = 1 << 20;
/// Size from which an answer has a buffer of its own.
const MIN_LARGE_ANSWER: usize = 64 << 10;

/// The messages that wait to be sent.
#[derive(Default)]
pub(super) struct Outbox {
    answers: Vec<Answer>,
    /// Bytes of all answers.
    bytes: usize,
    /// The JSON of all answers, but for large ones.
    bodies: Vec<u8>,
    worker_messages: Batches,
    /// Connections to close.
    closing: Vec<Peer>,
}

struct Answer {
    to: Peer,
    /// The frames before the empty one.
    route: Vec<Vec<u8>>,
    body: Body,
}

enum Body {
    /// The range in `bodies`.
    Small(Range<usize>),
    Large(Vec<u8>),
}

impl Outbox {
    /// Adds the answer that `write` appends to its buffer. Returns what `write` returns.
    pub(super) fn push_answer<T>(
        &mut self,
        to: Peer,
        route: Vec<Vec<u8>>,
        write: impl FnOnce(&mut Vec<u8>) -> T,
    ) -> T {
        let start = self.bodies.len();
        let written = write(&mut self.bodies);
        let bytes = self.bodies.len() - start;
        self.bytes += bytes;
        let body = if bytes < MIN_LARGE_ANSWER {
            Body::Small(start..self.bodies.len())
        } else {
            Body::Large(self.bodies.split_off(start))
        };
        self.answers.push(Answer { to, route, body });
        written
    }

    pub(super) fn push_message(&mut self, peer: Peer, message: &FromRouter) {
        self.worker_messages.push(peer, message);
    }

    /// Closes a connection with the next flush.
    pub(super) fn close(&mut self, peer: Peer) {
        self.closing.push(peer);
    }

    /// Returns true if the answers must be sent before more are added, so that their memory is accounted for.
    pub(super) fn is_large(&self) -> bool {
        self.bytes > MAX_BUFFERED_BYTES
    }

    fn is_empty(&self) -> bool {
        self.answers.is_empty() && self.worker_messages.is_empty() && self.closing.is_empty()
    }
}

impl Service {
    /// Sends everything. A worker that cannot be reached is an event, which may lead to more messages.
    pub(super) fn flush(&mut self, ports: &mut Ports) {
        loop {
            self.send_answers(ports);
            self.send_batches(ports);
            for peer in std::mem::take(&mut self.outbox.closing) {
                ports.disconnect(peer, &mut |input| self.on_input(input));
            }
            ports.flush(&mut |input| self.on_input(input));
            if self.outbox.is_empty() {
                return;
            }
        }
    }

    fn send_answers(&mut self, ports: &mut Ports) {
        let Outbox { answers, bodies, bytes, .. } = &mut self.outbox;
        for answer in answers.drain(..) {
            let body = match &answer.body {
                Body::Small(range) => bodies.get(range.clone()).unwrap_or_default(),
                Body::Large(body) => body,
            };
            let route = answer.route.iter().map(Vec::as_slice);
            // There is mostly no other frame.
            let frames: SmallVec<[&[u8]; 2]> = route.chain([&[][..], body]).collect();
            if let Err(error) = ports.send(answer.to, &frames) {
                tracing::debug!(%error, "cannot deliver an answer");
                self.parts.metrics.undelivered();
            }
        }
        *bytes = 0;
        bodies.clear();
        bodies.shrink_to(MAX_BUFFERED_BYTES);
        answers.shrink_to(MAX_BUFFERED_BYTES / size_of::<Answer>());
    }

    /// Sends the messages for workers.
    pub(super) fn flush_worker_messages(&mut self, ports: &mut Ports) {
        self.send_batches(ports);
        ports.flush(&mut |input| self.on_input(input));
    }

    fn send_batches(&mut self, ports: &mut Ports) {
        let mut unreachable = Vec::new();
        let batches = self.outbox.worker_messages.take();
        for (peer, batch) in &batches {
            // No message may follow a lost one.
            if unreachable.contains(peer) {
                continue;
            }
            if let Err(error) = send_batch(ports, *peer, batch, self.dispatch.reads_batches(*peer)) {
                tracing::debug!(%error, peer = peer.0, "cannot reach a worker");
                unreachable.push(*peer);
            }
        }
        self.outbox.worker_messages.reuse(batches);
        for peer in unreachable {
            self.feed(Event::Disconnected { peer });
            self.outbox.close(peer);
        }
    }
}

fn send_batch(ports: &mut Ports, to: Peer, batch: &Batch, reads_batches: bool) -> Result<(), SendError> {
    batch.messages(reads_batches).try_for_each(|message| ports.send(to, message.frames()))
}
