//! What follows the handshake: frames and commands, each in a box of its own.

use super::boxes::{Key, Prefixed, TAG_BYTES};
use super::nonce;
use crate::bounds::Tally;
use crate::frame::{self, Header};
use crate::{Bounds, Error, command, properties};

const MESSAGE: &[u8] = b"\x07MESSAGE";
const COUNTER_BYTES: usize = 8;
/// Bytes of a frame that are not its body: name, counter, tag and flags.
const OVERHEAD: usize = MESSAGE.len() + COUNTER_BYTES + TAG_BYTES + 1;
const MORE: u8 = 1;
const COMMAND: u8 = 2;
/// Bytes of memory for messages that an idle connection may keep.
const KEPT_BYTES: usize = 16 << 10;

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

/// What was in a frame.
pub(crate) enum Opened {
    /// The frame is not all there.
    Incomplete,
    /// A frame of so many bytes on the wire: a command, or a part of a message.
    Part(usize),
    /// The last part of a message.
    Last(usize, Tally),
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

    /// Opens the frame that `input` starts with. A PING is answered.
    ///
    /// # Errors
    ///
    /// By the header, before the frame is there; or by what is in it.
    pub(crate) fn open(
        &mut self,
        input: &[u8],
        bounds: &Bounds,
        output: &mut Vec<u8>,
    ) -> Result<Opened, Error> {
        let Some(header) = Header::read(input)? else { return Ok(Opened::Incomplete) };
        if header.more {
            return Err(Error::Unexpected);
        }
        let body = header.body.checked_sub(OVERHEAD).ok_or(Error::Command)?;
        let mut tally = self.tally;
        let tallied = tally.frame(body, bounds);
        if body > command::MAX_BYTES {
            tallied?;
        }
        let Some(sealed) = input.get(header.size..header.whole()) else { return Ok(Opened::Incomplete) };

        let start = self.frames.len();
        let flags = self.decrypt(sealed, body)?;
        if flags & COMMAND != 0 {
            self.command(start, body, output)?;
            return Ok(Opened::Part(header.whole()));
        }
        tallied?;
        if flags & MORE != 0 {
            self.tally = tally;
            return Ok(Opened::Part(header.whole()));
        }
        self.tally = Tally::default();
        Ok(Opened::Last(header.whole(), tally))
    }

    /// Appends what is in a frame to `frames`, with a header, and returns its flags.
    fn decrypt(&mut self, sealed: &[u8], body: usize) -> Result<u8, Error> {
        let rest = sealed.strip_prefix(MESSAGE).ok_or(Error::Unexpected)?;
        let (counter, sealed) = rest.split_first_chunk().ok_or(Error::Command)?;
        let count = u64::from_be_bytes(*counter);
        if count <= self.last {
            return Err(Error::Nonce);
        }
        // The flags stand before the body, where the header's last byte will be.
        let start = self.frames.len();
        let flags_at = start + frame::header(false, body).len() - 1;
        self.frames.resize(flags_at, 0);
        self.reads.open(*counter, sealed, &mut self.frames)?;
        self.last = count;
        let flags = self.frames.get(flags_at).copied().unwrap_or_default();
        let header = frame::header(flags & MORE != 0, body);
        self.frames.iter_mut().skip(start).zip(header.iter()).for_each(|(to, from)| *to = *from);
        Ok(flags)
    }

    /// Takes a command off `frames` again.
    fn command(&mut self, start: usize, body: usize, output: &mut Vec<u8>) -> Result<(), Error> {
        if body > command::MAX_BYTES {
            return Err(Error::CommandBytes(body));
        }
        let command = self.frames.split_off(start);
        let text = command.get(command.len().saturating_sub(body)..).unwrap_or_default();
        if let Some(context) = command::pinged(text)? {
            self.seal(COMMAND, [command::PONG, context], output);
        }
        Ok(())
    }

    /// The frames of the message that [`Opened::Last`] told of.
    pub(crate) fn frames(&self) -> &[u8] {
        &self.frames
    }

    /// Forgets a message that was whole.
    pub(crate) fn forget(&mut self) {
        if self.tally.frames == 0 {
            self.frames.clear();
            self.frames.shrink_to(KEPT_BYTES);
        }
    }

    #[cfg(test)]
    pub(crate) fn kept(&self) -> usize {
        self.frames.capacity()
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
