//! One connection.

use crate::{Bounds, Error, Message, curve};

/// What a port asks of its peers; shared by all its connections.
pub enum Security {
    /// None.
    Null,
    /// Both ends prove their keys, and everything is encrypted.
    Curve(curve::Server),
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
    #[expect(dead_code, reason = "the skeleton")]
    bounds: Bounds,
}

impl Session {
    /// Of a connection on which nothing was sent or received.
    pub const fn new(bounds: Bounds) -> Self {
        Self { bounds }
    }

    /// Takes the next step. `input` is everything received and not consumed yet; what the peer is to be sent is
    /// appended to `output`, first of all our greeting, for which the input may be empty.
    ///
    /// # Errors
    ///
    /// What the peer sent ends the connection: from then on each step fails alike.
    pub fn next<'a>(
        &'a mut self,
        _input: &'a [u8],
        _security: &Security,
        _output: &mut Vec<u8>,
    ) -> Result<Step<'a>, Error> {
        Ok(Step::Incomplete)
    }

    /// After [`Step::Proved`]: whether the peer may go on. If not it is told so, and each further step fails.
    pub fn admit(&mut self, _admitted: bool, _output: &mut Vec<u8>) {}

    /// Appends a message of these frames, encrypted under CURVE. Before [`Step::Ready`] nothing is appended.
    pub fn write(&mut self, _frames: &[&[u8]], _output: &mut Vec<u8>) {}

    /// Whether messages may be written.
    pub const fn is_ready(&self) -> bool {
        false
    }

    /// The key that the peer has proved; none under NULL.
    pub const fn key(&self) -> Option<&[u8; 32]> {
        None
    }
}
