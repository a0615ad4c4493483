//! Frames that a client has encrypted.

use super::{COMMAND, Channel, MESSAGE, MORE, OVERHEAD};
use crate::bounds::Tally;
use crate::frame::{self, Header};
use crate::{Bounds, Error, command};

/// Bytes of memory for messages that an idle connection may keep.
const KEPT_BYTES: usize = 16 << 10;

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

    /// Bytes of memory that the message takes.
    pub(crate) const fn held(&self) -> usize {
        self.frames.capacity()
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
}
