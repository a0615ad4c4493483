//! Messages under NULL: they stay where they were received, and are walked frame by frame until the last.

use crate::bounds::Tally;
use crate::frame::{self, Header};
use crate::{Bounds, Error, command};

/// How far a message was walked that is not whole yet. Each byte is looked at once, however it trickles in.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// Where the next header is, from where the message begins.
    at: usize,
    tally: Tally,
}

/// What the walk came to.
pub(super) enum Walked {
    /// The input ends within a frame.
    Incomplete,
    /// A command before the message, of so many bytes.
    Command(usize),
    /// A message of so many bytes.
    Message(usize, Tally),
}

impl Walk {
    /// Goes on as far as the input is there.
    ///
    /// A command may come between two frames: libzmq sends a PING there if a message waits for the peer to read.
    ///
    /// # Errors
    ///
    /// By a header, before what follows it is there; or by a command.
    pub(super) fn go(
        &mut self,
        input: &[u8],
        bounds: &Bounds,
        output: &mut Vec<u8>,
    ) -> Result<Walked, Error> {
        while let Some(rest) = input.get(self.at..)
            && let Some(header) = Header::read(rest)?
        {
            let mut tally = self.tally;
            if header.command {
                command::bound(&header)?;
                if self.at > 0 {
                    tally.count(header.body, bounds)?;
                }
            } else {
                tally.frame(header.body, bounds)?;
            }
            let Some(body) = rest.get(header.size..header.whole()) else { break };
            let end = self.at + header.whole();
            if header.command {
                answer(body, output)?;
                if self.at == 0 {
                    return Ok(Walked::Command(end));
                }
            } else if !header.more {
                *self = Self::default();
                return Ok(Walked::Message(end, tally));
            }
            *self = Self { at: end, tally };
        }
        Ok(Walked::Incomplete)
    }
}

fn answer(command: &[u8], output: &mut Vec<u8>) -> Result<(), Error> {
    if let Some(context) = command::pinged(command)? {
        frame::push_command(&[command::PONG, context], output);
    }
    Ok(())
}
