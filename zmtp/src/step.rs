//! What a session says of its input.

use crate::Message;

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
    /// CURVE: the peer has proved this key, and waits for [`Session::admit`](crate::Session::admit). Until then all steps are `Incomplete`.
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
