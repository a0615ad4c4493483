//! How a connection ended.

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, strum::EnumIter, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Closed {
    /// By the peer, or by the network.
    Peer,
    /// By either side, before the handshake was done: within its time the peer had not spoken ZMTP, or not proved an
    /// allowed key.
    Handshake,
    /// By the router: what the peer sends is no longer ZMTP.
    Malformed,
    /// By the router, in the middle of a message: it is over the limit.
    Oversize,
    /// By the router, in the middle of a message: too many are begun, and it holds most of them.
    Crowded,
    /// By the router: too much waits to be read, and most of it by this peer.
    Unread,
    /// By the router, at once: too many are open, in total or from its address.
    TooMany,
    /// By the router: its key is not allowed any more, or a worker does not read what it is sent.
    Ended,
}

impl From<&trackyard_zmtp::ZmtpError> for Closed {
    fn from(error: &trackyard_zmtp::ZmtpError) -> Self {
        if error.is_oversize() { Self::Oversize } else { Self::Malformed }
    }
}
