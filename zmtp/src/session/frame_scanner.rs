//! Messages under NULL: they stay in the input buffer, and are scanned frame by frame until the last.

use crate::frame::{self, Header};
use crate::message_limits::MessageSize;
use crate::{MessageLimits, ZmtpError, command};

/// The position in an incomplete message. Each header is read once, however slowly the bytes arrive.
#[derive(Debug, Default)]
pub(super) struct FrameScanner {
    /// The offset of the next header from the start of the message.
    offset: usize,
    size: MessageSize,
}

/// The result of a scan.
pub(super) enum Scanned {
    /// The input ends within a frame.
    Incomplete,
    /// A command before the message, of this many bytes.
    Command(usize),
    /// A message of this many bytes.
    Message(usize, MessageSize),
}

impl FrameScanner {
    /// Scans as far as the input has arrived, and answers each PING.
    ///
    /// A command may come between two frames: libzmq sends a PING there if the peer is slow to read a message.
    ///
    /// # Errors
    ///
    /// If a header is invalid, before its body has arrived; or if a command is.
    pub(super) fn scan(
        &mut self,
        input: &[u8],
        limits: &MessageLimits,
        output: &mut Vec<u8>,
    ) -> Result<Scanned, ZmtpError> {
        while let Some(rest) = input.get(self.offset..)
            && let Some(header) = Header::read(rest)?
        {
            let mut size = self.size;
            if header.command {
                command::check_size(&header)?;
                if self.offset > 0 {
                    size.add_command(header.body, limits)?;
                }
            } else {
                size.add_frame(header.body, limits)?;
            }
            let Some(body) = rest.get(header.size..header.frame_size()) else { break };
            let end = self.offset + header.frame_size();
            if header.command {
                answer_ping(body, output)?;
                if self.offset == 0 {
                    return Ok(Scanned::Command(end));
                }
            } else if !header.more {
                *self = Self::default();
                return Ok(Scanned::Message(end, size));
            }
            *self = Self { offset: end, size };
        }
        Ok(Scanned::Incomplete)
    }
}

fn answer_ping(command: &[u8], output: &mut Vec<u8>) -> Result<(), ZmtpError> {
    if let Some(context) = command::ping_context(command)? {
        frame::push_command(&[command::PONG, context], output);
    }
    Ok(())
}
