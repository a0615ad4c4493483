//! One connection.

mod handshake;
mod plain;

use plain::{Walk, Walked};

use crate::bounds::Tally;
use crate::curve::{Channel, Key, Opened, Random};
use crate::{Bounds, Error, Message, Security, Step, frame};

/// The server's end of one connection, from the peer's greeting on.
pub struct Session {
    bounds: Bounds,
    stage: Stage,
    walk: Walk,
    /// Under CURVE, once the peer has proved its key.
    channel: Option<Box<Channel>>,
    random: fn() -> Result<Random, Error>,
}

/// What comes next.
enum Stage {
    /// Our greeting.
    New,
    /// The peer's; ours was sent whole, or its beginning.
    Greeting { answered: bool },
    /// Its READY, under NULL.
    Ready,
    /// Its HELLO, under CURVE.
    Hello,
    /// Its INITIATE, with the cookie that this key opens.
    Initiate(Key),
    /// Whether it is admitted.
    Proved,
    /// That the caller hears of it.
    Admitted,
    /// Its messages.
    Open,
    /// Nothing.
    Failed(Error),
}

/// A step that borrows nothing yet.
enum Taken {
    Step(Step<'static>),
    /// A message of so many bytes of the input, which is there.
    Plain(usize, Tally),
    /// One that was decrypted.
    Opened(usize, Tally),
}

impl Session {
    /// Of a connection on which nothing was sent or received.
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds, stage: Stage::New, walk: Walk::default(), channel: None, random: Random::new }
    }

    /// Takes the next step. `input` is everything received and not consumed yet: after [`Step::Incomplete`], the same
    /// bytes and more. What the peer is to be sent is appended to `output`, first of all our greeting's
    /// beginning, for which the input may be empty.
    ///
    /// # Errors
    ///
    /// What the peer sent ends the connection: from then on each step fails alike. What is in `output` may tell the
    /// peer why.
    pub fn next<'a>(
        &'a mut self,
        input: &'a [u8],
        security: &Security,
        output: &mut Vec<u8>,
    ) -> Result<Step<'a>, Error> {
        let taken =
            self.take(input, security, output).inspect_err(|error| self.stage = Stage::Failed(*error))?;
        Ok(match taken {
            Taken::Step(step) => step,
            Taken::Plain(consumed, tally) => {
                let message = Message::new(input.get(..consumed).unwrap_or_default(), tally);
                Step::Message { consumed, message }
            }
            Taken::Opened(consumed, tally) => {
                let frames = self.channel.as_ref().map(|channel| channel.frames()).unwrap_or_default();
                Step::Message { consumed, message: Message::new(frames, tally) }
            }
        })
    }

    fn take(&mut self, input: &[u8], security: &Security, output: &mut Vec<u8>) -> Result<Taken, Error> {
        match (&self.stage, self.channel.as_mut()) {
            (Stage::Open, None) => Ok(match self.walk.go(input, &self.bounds, output)? {
                Walked::Incomplete => Taken::Step(Step::Incomplete),
                Walked::Command(consumed) => Taken::Step(Step::Consumed(consumed)),
                Walked::Message(consumed, tally) => Taken::Plain(consumed, tally),
            }),
            (Stage::Open, Some(channel)) => {
                channel.forget();
                Ok(match channel.open(input, &self.bounds, output)? {
                    Opened::Incomplete => Taken::Step(Step::Incomplete),
                    Opened::Part(consumed) => Taken::Step(Step::Consumed(consumed)),
                    Opened::Last(consumed, tally) => Taken::Opened(consumed, tally),
                })
            }
            _ => self.shake_hands(input, security, output).map(Taken::Step),
        }
    }

    /// Appends a message of these frames, encrypted under CURVE. Before [`Step::Ready`], and of no frames, nothing is
    /// appended.
    pub fn write(&mut self, frames: &[&[u8]], output: &mut Vec<u8>) {
        if self.write_head(frames, output) {
            output.extend_from_slice(frames.last().copied().unwrap_or_default());
        }
    }

    /// Appends a message as [`write`](Self::write) does, but under NULL without the bytes of its last frame. True if
    /// these are to follow.
    pub fn write_head(&mut self, frames: &[&[u8]], output: &mut Vec<u8>) -> bool {
        if !self.is_ready() {
            return false;
        }
        let last = frames.len().saturating_sub(1);
        for (index, body) in frames.iter().enumerate() {
            let more = index < last;
            match &mut self.channel {
                Some(channel) => channel.write(more, body, output),
                None => {
                    output.extend_from_slice(&frame::header(more, body.len()));
                    output.extend_from_slice(if more { body } else { &[] });
                }
            }
        }
        self.channel.is_none()
    }

    /// Whether messages may be written.
    pub const fn is_ready(&self) -> bool {
        matches!(self.stage, Stage::Open)
    }

    /// The key that the peer has proved, from [`Step::Proved`] on; none under NULL.
    pub fn key(&self) -> Option<&[u8; 32]> {
        self.channel.as_ref().map(|channel| &channel.peer)
    }

    /// Bytes of memory, beside input and output, for a message that is decrypted frame by frame: at most about twice
    /// [`Bounds::message_bytes`]. After the step that follows a message it is at most 16 KiB; under NULL it is 0.
    pub fn held_bytes(&self) -> usize {
        self.channel.as_ref().map_or(0, |channel| channel.held())
    }
}

#[cfg(test)]
mod tests;
