//! Errors that end a connection.

/// A connection must end. The caller sends what is in the output, then closes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum ZmtpError {
    /// The first ten bytes are not those of ZMTP 2 or later.
    #[error("the peer does not speak ZMTP")]
    Signature,
    /// The peer speaks a version older than ZMTP 3: its major version.
    #[error("the peer speaks version {0} of ZMTP, which is older than 3")]
    Version(u8),
    /// The peer uses another mechanism than the port: NULL instead of CURVE, or the reverse.
    #[error("the peer's security mechanism differs from the port's")]
    Mechanism,
    /// A frame has reserved flags or an invalid combination of flags.
    #[error("a frame has the invalid flags {0:#04x}")]
    Flags(u8),
    /// A frame or a message exceeds the limits.
    #[error("a frame or a message exceeds the limits")]
    Oversize,
    /// A command is larger than any known one: its size.
    #[error("a command of {0} bytes is larger than any known command")]
    CommandBytes(usize),
    /// The fields of a command do not fit into it.
    #[error("a command is malformed")]
    Command,
    /// The peer sent something else than the next command of the handshake.
    #[error("the peer did not send the next command of the handshake")]
    Unexpected,
    /// The peer sent an ERROR command.
    #[error("the peer gave up the handshake with an ERROR command")]
    Peer,
    /// The peer's properties are malformed.
    #[error("the peer's properties are malformed")]
    Properties,
    /// The peer's socket has a type that a ROUTER cannot talk to.
    #[error("the peer's socket is neither REQ nor DEALER nor ROUTER")]
    SocketType,
    /// CURVE: a box cannot be opened.
    #[error("cannot decrypt what the peer sent: it has another server's key, or it was modified in transit")]
    Box,
    /// CURVE: the peer does not prove that it has its key.
    #[error("the peer does not prove its key")]
    Proof,
    /// CURVE: an encrypted frame was repeated or reordered.
    #[error("an encrypted frame was repeated or reordered")]
    Nonce,
    /// CURVE: the caller refused the peer's key by [`Session::admit`](crate::Session::admit).
    #[error("the peer's key was refused")]
    Refused,
    /// CURVE: the operating system has no random bytes.
    #[error("cannot get random bytes for a key")]
    Random,
}

impl ZmtpError {
    /// Returns the variant's stable name, for metrics and logs.
    pub fn as_str(&self) -> &'static str {
        self.into()
    }

    /// Whether the peer sent too much, and not something malformed.
    pub const fn is_oversize(&self) -> bool {
        matches!(self, Self::Oversize | Self::CommandBytes(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_stable() {
        assert_eq!((ZmtpError::SocketType.as_str(), ZmtpError::Flags(8).as_str()), ("socket_type", "flags"));
    }
}
