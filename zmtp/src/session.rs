//! One connection.

mod plain;

use plain::{Walk, Walked};

use crate::{Bounds, Error, Message, command, curve, frame, greeting, properties};

/// What a port asks of its peers; shared by all its connections.
pub enum Security {
    /// None.
    Null,
    /// Both ends prove their keys, and everything is encrypted.
    Curve(curve::Server),
}

impl Security {
    const fn mechanism(&self) -> &'static greeting::Mechanism {
        match self {
            Self::Null => &greeting::NULL,
            Self::Curve(_) => &greeting::CURVE,
        }
    }
}

/// What came of some input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'a> {
    /// The rest of the input is not enough: call again with it and what comes after it.
    Incomplete,
    /// So many bytes of the input are done with: a greeting, a command, a frame of an encrypted message.
    Consumed(usize),
    /// A whole message.
    Message {
        /// Bytes of the input that are done with, once the message is.
        consumed: usize,
        /// The message.
        message: Message<'a>,
    },
    /// CURVE: the peer has proved this key, and waits for [`Session::admit`]. Until then all steps are `Incomplete`.
    Proved {
        /// Bytes of the input that are done with.
        consumed: usize,
        /// The peer's long-term public key.
        key: [u8; 32],
    },
    /// The handshake is done; messages follow.
    Ready {
        /// Bytes of the input that are done with.
        consumed: usize,
    },
}

/// The server's end of one connection, from the peer's greeting on.
pub struct Session {
    bounds: Bounds,
    stage: Stage,
    walk: Walk,
}

/// What comes next.
enum Stage {
    /// Our greeting.
    New,
    /// The peer's.
    Greeting,
    /// Its READY, under NULL.
    Ready,
    /// Its messages.
    Open,
    /// Nothing.
    Failed(Error),
}

impl Session {
    /// Of a connection on which nothing was sent or received.
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds, stage: Stage::New, walk: Walk::default() }
    }

    /// Takes the next step. `input` is everything received and not consumed yet: after [`Step::Incomplete`], the same
    /// bytes and more. What the peer is to be sent is appended to `output`, first of all our greeting, for which the
    /// input may be empty.
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
        match self.step(input, security, output) {
            Ok(step) => Ok(step),
            Err(error) => Err(error),
        }
    }

    fn step<'a>(
        &mut self,
        input: &'a [u8],
        security: &Security,
        output: &mut Vec<u8>,
    ) -> Result<Step<'a>, Error> {
        if matches!(self.stage, Stage::New) {
            output.extend_from_slice(&greeting::ours(security.mechanism()));
            self.stage = Stage::Greeting;
        }
        let stepped = match &self.stage {
            Stage::New | Stage::Greeting => self.greet(input, security, output),
            Stage::Ready => self.ready(input, output),
            Stage::Open => self.walk.go(input, &self.bounds, output).map(|walked| match walked {
                Walked::Incomplete => Step::Incomplete,
                Walked::Command(consumed) => Step::Consumed(consumed),
                Walked::Message(consumed, tally) => Step::Message {
                    consumed,
                    message: Message::new(input.get(..consumed).unwrap_or_default(), tally),
                },
            }),
            Stage::Failed(error) => Err(*error),
        };
        stepped.inspect_err(|error| self.stage = Stage::Failed(*error))
    }

    fn greet(
        &mut self,
        input: &[u8],
        security: &Security,
        output: &mut Vec<u8>,
    ) -> Result<Step<'static>, Error> {
        if !greeting::check(input, security.mechanism())? {
            return Ok(Step::Incomplete);
        }
        frame::push_command(&[command::READY, properties::OURS], output);
        self.stage = Stage::Ready;
        Ok(Step::Consumed(greeting::BYTES))
    }

    fn ready(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<Step<'static>, Error> {
        let Some((body, consumed)) = command::take(input)? else { return Ok(Step::Incomplete) };
        let theirs = command::expect(command::READY, body)?;
        properties::check(theirs).inspect_err(|error| command::push_error(*error, output))?;
        self.stage = Stage::Open;
        Ok(Step::Ready { consumed })
    }

    /// After [`Step::Proved`]: whether the peer may go on. If not it is told so, and each further step fails.
    pub fn admit(&mut self, _admitted: bool, _output: &mut Vec<u8>) {}

    /// Appends a message of these frames, encrypted under CURVE. Before [`Step::Ready`] nothing is appended.
    pub fn write(&mut self, frames: &[&[u8]], output: &mut Vec<u8>) {
        if !self.is_ready() {
            return;
        }
        let last = frames.len().saturating_sub(1);
        for (index, body) in frames.iter().enumerate() {
            frame::push_header(index < last, body.len(), output);
            output.extend_from_slice(body);
        }
    }

    /// Whether messages may be written.
    pub const fn is_ready(&self) -> bool {
        matches!(self.stage, Stage::Open)
    }

    /// The key that the peer has proved; none under NULL.
    pub const fn key(&self) -> Option<&[u8; 32]> {
        None
    }
}
