//! The events of a session.

use crate::Message;

/// The result of processing some input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionEvent<'a> {
    /// The input is incomplete: call again with the same bytes and more.
    Incomplete,
    /// Input of this many bytes was processed: a greeting, a command, or a frame of an encrypted message.
    Consumed(usize),
    /// A whole message.
    Message {
        /// The bytes to remove from the input once the message has been used.
        consumed: usize,
        /// The message.
        message: Message<'a>,
    },
    /// CURVE: the peer has proved this key, and waits for [`Session::admit`](crate::Session::admit). Until then every event
    /// is `Incomplete`.
    KeyVerified {
        /// The bytes to remove from the input.
        consumed: usize,
        /// The peer's long-term public key.
        key: [u8; 32],
    },
    /// The handshake is complete; messages follow.
    Ready {
        /// The bytes to remove from the input.
        consumed: usize,
    },
}
