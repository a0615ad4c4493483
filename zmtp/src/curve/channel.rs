//! What follows the handshake: frames and commands, each in a box of its own.

mod incoming;

pub(crate) use incoming::Opened;

use super::boxes::{Key, Prefixed, TAG_BYTES};
use super::nonce;
use crate::bounds::Tally;
use crate::{command, frame, properties};

const MESSAGE: &[u8] = b"\x07MESSAGE";
const COUNTER_BYTES: usize = 8;
/// Bytes of a frame that are not its body: name, counter, tag and flags.
const OVERHEAD: usize = MESSAGE.len() + COUNTER_BYTES + TAG_BYTES + 1;
const MORE: u8 = 1;
const COMMAND: u8 = 2;

/// The keys of one connection, and the message that is coming in.
pub(crate) struct Channel {
    /// The client's long-term key.
    pub(crate) peer: [u8; 32],
    key: Key,
    reads: Prefixed,
    writes: Prefixed,
    /// The counter of the last frame that was read.
    last: u64,
    /// The counter of the last that was written.
    written: u64,
    /// Frames as they were before they were encrypted, with headers.
    frames: Vec<u8>,
    tally: Tally,
}

impl Channel {
    /// After an INITIATE with this counter.
    pub(super) fn new(key: Key, peer: [u8; 32], counter: u64) -> Self {
        let (reads, writes) = (key.prefixed(nonce::MESSAGE_C), key.prefixed(nonce::MESSAGE_S));
        let (frames, tally) = (Vec::new(), Tally::default());
        Self { peer, key, reads, writes, last: counter, written: 0, frames, tally }
    }

    /// Appends the READY that ends the handshake.
    pub(crate) fn ready(&mut self, output: &mut Vec<u8>) {
        let counter = self.count();
        let mut sealed = Vec::new();
        self.key.seal(&nonce::counted(nonce::READY, &counter), properties::OURS, &mut sealed);
        frame::push_command(&[command::READY, &counter, &sealed], output);
    }

    /// Appends a frame of a message.
    pub(crate) fn write(&mut self, more: bool, body: &[u8], output: &mut Vec<u8>) {
        self.seal(if more { MORE } else { 0 }, [body, &[]], output);
    }

    /// Neither MORE nor the command flag is on the wire, only in the box; so does libzmq.
    fn seal(&mut self, flags: u8, [first, second]: [&[u8]; 2], output: &mut Vec<u8>) {
        let counter = self.count();
        let body = first.len() + second.len();
        output.extend_from_slice(&frame::header(false, OVERHEAD + body));
        output.extend_from_slice(MESSAGE);
        output.extend_from_slice(&counter);
        self.writes.seal(counter, &[&[flags], first, second], output);
    }

    fn count(&mut self) -> [u8; COUNTER_BYTES] {
        // At a billion a second it takes centuries to wrap.
        self.written = self.written.wrapping_add(1);
        self.written.to_be_bytes()
    }
}
