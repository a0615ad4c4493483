//! What ends a connection.

/// Why a connection cannot go on. What is in the output is still to be sent, then it is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Error {
    /// The first ten bytes are not those of ZMTP 2 or later.
    #[error("the peer does not speak ZMTP")]
    Signature,
    /// A peer of before ZMTP 3, by its major version.
    #[error("the peer speaks version {0} of ZMTP, which is older than 3")]
    Version(u8),
    /// The peer wants another mechanism than the port's: NULL for CURVE, or the reverse.
    #[error("the peer's security mechanism is not the port's")]
    Mechanism,
    /// The flags of a frame, with reserved bits set or in a combination that does not exist.
    #[error("a frame has the flags {0:#04x}, which mean nothing")]
    Flags(u8),
    /// A frame or a message is larger than the bounds.
    #[error("a frame or a message is larger than the bounds")]
    Oversize,
    /// A command is larger than any that is known.
    #[error("a command of {0} bytes, which is more than any needs")]
    CommandBytes(usize),
    /// A command whose fields do not fit into it.
    #[error("a command is malformed")]
    Command,
    /// Something else than the handshake's next command.
    #[error("not the command that the handshake needs next")]
    Unexpected,
    /// The peer sent an ERROR command.
    #[error("the peer gave up the handshake with an ERROR command")]
    Peer,
    /// The peer's properties cannot be read.
    #[error("the peer's properties are malformed")]
    Properties,
    /// The peer is not of a kind that a ROUTER speaks with.
    #[error("the peer's socket is neither REQ nor DEALER nor ROUTER")]
    SocketType,
    /// CURVE: something cannot be decrypted.
    #[error(
        "what the peer encrypted cannot be opened: it has another server's key, or it was changed on its way"
    )]
    Box,
    /// CURVE: what was decrypted does not prove the peer's key.
    #[error("the peer does not prove its key")]
    Proof,
    /// CURVE: an encrypted frame came twice or out of order.
    #[error("an encrypted frame came twice or out of order")]
    Nonce,
    /// CURVE: [`Session::admit`](crate::Session::admit) said no.
    #[error("the peer's key was refused")]
    Refused,
    /// CURVE: the operating system gave no random bytes.
    #[error("no random bytes for a key")]
    Random,
}

impl Error {
    /// The variant's name, for metrics and logs.
    pub fn as_str(&self) -> &'static str {
        self.into()
    }

    /// Whether the peer sent too much, rather than something that cannot be read.
    pub const fn is_oversize(&self) -> bool {
        matches!(self, Self::Oversize | Self::CommandBytes(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        assert_eq!((Error::SocketType.as_str(), Error::Flags(8).as_str()), ("socket_type", "flags"));
    }
}
