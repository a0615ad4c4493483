//! What a turn wants sent. Answers leave at its end, so that what goes to one client leaves in one go; words once a worker
//! was heard, and at the end. What one worker is told then is one message, if it reads batches.

use std::ops::Range;

use smallvec::SmallVec;
use trackyard_protocol::worker::{Batch, FromRouter};

use super::{Batches, Service};
use crate::dispatch::{Event, Peer};
use crate::socket::{Ports, SendError};

/// Bytes of answers that wait for the turn's end, and memory that is kept for those of the next.
const KEPT: usize = 1 << 20;
/// Bytes of an answer that has memory of its own.
const LARGE: usize = 64 << 10;

/// What waits to be sent.
#[derive(Default)]
pub(super) struct Outbox {
    answers: Vec<Answer>,
    /// Bytes of all answers.
    bytes: usize,
    /// The JSON of all answers, but for large ones.
    bodies: Vec<u8>,
    words: Batches,
    /// Connections to be ended.
    ended: Vec<Peer>,
}

struct Answer {
    to: Peer,
    /// The frames before the empty one.
    route: Vec<Vec<u8>>,
    body: Body,
}

enum Body {
    /// Where it is among the others.
    Small(Range<usize>),
    Large(Vec<u8>),
}

impl Outbox {
    /// Adds the answer that `write` appends to what it is given.
    pub(super) fn answer<T>(
        &mut self,
        to: Peer,
        route: Vec<Vec<u8>>,
        write: impl FnOnce(&mut Vec<u8>) -> T,
    ) -> T {
        let start = self.bodies.len();
        let written = write(&mut self.bodies);
        let bytes = self.bodies.len() - start;
        self.bytes += bytes;
        let body = if bytes < LARGE {
            Body::Small(start..self.bodies.len())
        } else {
            Body::Large(self.bodies.split_off(start))
        };
        self.answers.push(Answer { to, route, body });
        written
    }

    pub(super) fn word(&mut self, peer: Peer, message: &FromRouter) {
        self.words.word(peer, message);
    }

    /// Lets nobody speak by this connection any more.
    pub(super) fn end(&mut self, peer: Peer) {
        self.ended.push(peer);
    }

    /// True if more would take memory that nobody has counted yet.
    pub(super) fn is_large(&self) -> bool {
        self.bytes > KEPT
    }

    fn is_empty(&self) -> bool {
        self.answers.is_empty() && self.words.is_empty() && self.ended.is_empty()
    }
}

impl Service {
    /// Sends everything. A worker whose connection is dead or takes nothing more is an event, which may want more
    /// sent.
    pub(super) fn flush(&mut self, ports: &mut Ports) {
        loop {
            self.write_answers(ports);
            self.write_words(ports);
            for peer in std::mem::take(&mut self.outbox.ended) {
                ports.end(peer, &mut |input| self.take(input));
            }
            ports.flush(&mut |input| self.take(input));
            if self.outbox.is_empty() {
                return;
            }
        }
    }

    fn write_answers(&mut self, ports: &mut Ports) {
        let Outbox { answers, bodies, bytes, .. } = &mut self.outbox;
        for answer in answers.drain(..) {
            let body = match &answer.body {
                Body::Small(range) => bodies.get(range.clone()).unwrap_or_default(),
                Body::Large(body) => body,
            };
            let route = answer.route.iter().map(Vec::as_slice);
            // Mostly none but these two.
            let frames: SmallVec<[&[u8]; 2]> = route.chain([&[][..], body]).collect();
            if let Err(error) = ports.send(answer.to, &frames) {
                tracing::debug!(%error, "an answer was not delivered");
                self.parts.metrics.undelivered();
            }
        }
        *bytes = 0;
        bodies.clear();
        bodies.shrink_to(KEPT);
        answers.shrink_to(KEPT / size_of::<Answer>());
    }

    /// Sends what workers are to be told.
    pub(super) fn tell_workers(&mut self, ports: &mut Ports) {
        self.write_words(ports);
        ports.flush(&mut |input| self.take(input));
    }

    fn write_words(&mut self, ports: &mut Ports) {
        let mut gone = Vec::new();
        let batches = self.outbox.words.take();
        for (peer, batch) in &batches {
            // Nothing may follow a message that was lost.
            if gone.contains(peer) {
                continue;
            }
            if let Err(error) = write(ports, *peer, batch, self.dispatch.reads_batches(*peer)) {
                tracing::debug!(%error, peer = peer.0, "a worker was not reached");
                gone.push(*peer);
            }
        }
        self.outbox.words.reuse(batches);
        for peer in gone {
            self.feed(Event::Gone { peer });
            self.outbox.end(peer);
        }
    }
}

fn write(ports: &mut Ports, to: Peer, batch: &Batch, reads_batches: bool) -> Result<(), SendError> {
    batch.messages(reads_batches).try_for_each(|message| ports.send(to, message.frames()))
}
