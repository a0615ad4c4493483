//! Encrypted frames and commands after the handshake, each in its own box.

mod incoming;

pub(crate) use incoming::Opened;

use super::boxes::{BoxKey, PrefixedKey, TAG_BYTES};
use super::nonce;
use crate::message_limits::MessageSize;
use crate::{command, frame, properties};

const MESSAGE: &[u8] = b"\x07MESSAGE";
const COUNTER_BYTES: usize = 8;
/// Bytes of a frame besides its body: name, counter, tag and flags.
const OVERHEAD_BYTES: usize = MESSAGE.len() + COUNTER_BYTES + TAG_BYTES + 1;
const MORE: u8 = 1;
const COMMAND: u8 = 2;

/// Encrypts and decrypts the frames of one connection. Holds its keys and the message that is arriving.
pub(crate) struct CurveCodec {
    /// The client's long-term public key.
    pub(crate) peer: [u8; 32],
    key: BoxKey,
    read_key: PrefixedKey,
    write_key: PrefixedKey,
    /// The counter of the last frame that was read.
    last_read: u64,
    /// The counter of the last frame that was written.
    last_written: u64,
    /// The decrypted frames of the arriving message, with headers.
    frames: Vec<u8>,
    size: MessageSize,
}

impl CurveCodec {
    /// Makes a codec after an INITIATE with this counter.
    pub(super) fn new(key: BoxKey, peer: [u8; 32], counter: u64) -> Self {
        Self {
            peer,
            read_key: key.prefixed(nonce::MESSAGE_C),
            write_key: key.prefixed(nonce::MESSAGE_S),
            key,
            last_read: counter,
            last_written: 0,
            frames: Vec::new(),
            size: MessageSize::default(),
        }
    }

    /// Appends the READY that completes the handshake.
    pub(crate) fn write_ready(&mut self, output: &mut Vec<u8>) {
        let counter = self.next_counter();
        let mut sealed = Vec::new();
        self.key.seal(&nonce::counted(nonce::READY, &counter), properties::SERVER_PROPERTIES, &mut sealed);
        frame::push_command(&[command::READY, &counter, &sealed], output);
    }

    /// Appends a frame of a message.
    pub(crate) fn write(&mut self, more: bool, body: &[u8], output: &mut Vec<u8>) {
        self.seal(if more { MORE } else { 0 }, [body, &[]], output);
    }

    /// Appends a MESSAGE command. As in libzmq, the flags for more frames and commands are only inside the box.
    fn seal(&mut self, flags: u8, [first, second]: [&[u8]; 2], output: &mut Vec<u8>) {
        let counter = self.next_counter();
        let body = first.len() + second.len();
        output.extend_from_slice(&frame::header(false, OVERHEAD_BYTES + body));
        output.extend_from_slice(MESSAGE);
        output.extend_from_slice(&counter);
        self.write_key.seal(counter, &[&[flags], first, second], output);
    }

    fn next_counter(&mut self) -> [u8; COUNTER_BYTES] {
        // At a billion frames a second this wraps after centuries.
        self.last_written = self.last_written.wrapping_add(1);
        self.last_written.to_be_bytes()
    }
}
