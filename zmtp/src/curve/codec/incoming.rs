//! Decrypts the frames that a client sends.

use super::{COMMAND, CurveCodec, MESSAGE, MORE, OVERHEAD_BYTES};
use crate::frame::{self, Header};
use crate::message_limits::MessageSize;
use crate::{MessageLimits, ZmtpError, command};

/// Maximum size of the message buffer that an idle connection keeps.
const MAX_IDLE_BUFFER_BYTES: usize = 16 << 10;

/// The content of a frame.
pub(crate) enum Opened {
    /// The frame has not fully arrived.
    Incomplete,
    /// A command, or a frame that is not the last of its message; with its bytes on the wire.
    Part(usize),
    /// The last frame of a message; with its bytes on the wire and the size of the message.
    Last(usize, MessageSize),
}

impl CurveCodec {
    /// Decrypts the frame at the start of `input`, and answers a PING.
    ///
    /// # Errors
    ///
    /// If the header is invalid, before the frame has arrived; or if its content is.
    pub(crate) fn open(
        &mut self,
        input: &[u8],
        limits: &MessageLimits,
        output: &mut Vec<u8>,
    ) -> Result<Opened, ZmtpError> {
        let Some(header) = Header::read(input)? else { return Ok(Opened::Incomplete) };
        if header.more {
            return Err(ZmtpError::Unexpected);
        }
        let body = header.body.checked_sub(OVERHEAD_BYTES).ok_or(ZmtpError::Command)?;
        let mut size = self.size;
        let sized = size.add_frame(body, limits);
        if body > command::MAX_COMMAND_BYTES {
            sized?;
        }
        let Some(sealed) = input.get(header.size..header.frame_size()) else { return Ok(Opened::Incomplete) };

        let start = self.frames.len();
        let flags = self.decrypt(sealed, body)?;
        if flags & COMMAND != 0 {
            self.on_command(start, body, output)?;
            return Ok(Opened::Part(header.frame_size()));
        }
        sized?;
        if flags & MORE != 0 {
            self.size = size;
            return Ok(Opened::Part(header.frame_size()));
        }
        self.size = MessageSize::default();
        Ok(Opened::Last(header.frame_size(), size))
    }

    /// Appends a decrypted frame to `frames`, with a header, and returns its flags.
    fn decrypt(&mut self, sealed: &[u8], body: usize) -> Result<u8, ZmtpError> {
        let rest = sealed.strip_prefix(MESSAGE).ok_or(ZmtpError::Unexpected)?;
        let (counter, sealed) = rest.split_first_chunk().ok_or(ZmtpError::Command)?;
        let count = u64::from_be_bytes(*counter);
        if count <= self.last_read {
            return Err(ZmtpError::Nonce);
        }
        // The decrypted flags precede the body, in the place of the header's last byte.
        let start = self.frames.len();
        let flags_at = start + frame::header(false, body).len() - 1;
        self.frames.resize(flags_at, 0);
        self.read_key.open(*counter, sealed, &mut self.frames)?;
        self.last_read = count;
        let flags = self.frames.get(flags_at).copied().unwrap_or_default();
        let header = frame::header(flags & MORE != 0, body);
        self.frames.iter_mut().skip(start).zip(header.iter()).for_each(|(to, from)| *to = *from);
        Ok(flags)
    }

    /// Removes a command from `frames` and handles it.
    fn on_command(&mut self, start: usize, body: usize, output: &mut Vec<u8>) -> Result<(), ZmtpError> {
        if body > command::MAX_COMMAND_BYTES {
            return Err(ZmtpError::CommandBytes(body));
        }
        let command = self.frames.split_off(start);
        let text = command.get(command.len().saturating_sub(body)..).unwrap_or_default();
        if let Some(context) = command::ping_context(text)? {
            self.seal(COMMAND, [command::PONG, context], output);
        }
        Ok(())
    }

    /// Returns the bytes of memory for the message.
    pub(crate) const fn buffer_bytes(&self) -> usize {
        self.frames.capacity()
    }

    /// Returns the frames of the message that [`Opened::Last`] completed.
    pub(crate) fn frames(&self) -> &[u8] {
        &self.frames
    }

    /// Clears the buffer unless a message is incomplete.
    pub(crate) fn clear_complete(&mut self) {
        if self.size.frames == 0 {
            self.frames.clear();
            self.frames.shrink_to(MAX_IDLE_BUFFER_BYTES);
        }
    }
}
