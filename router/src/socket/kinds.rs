//! The kinds of ports, of ends of a connection, and of errors.

use rustix::io::Errno;

use crate::args::Endpoint;

/// The kind of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, strum::EnumIter, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum PortKind {
    /// The port for clients.
    Clients,
    /// The port for clients with a key.
    KeyedClients,
    /// The port for workers.
    Workers,
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, strum::EnumIter, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum CloseReason {
    /// Closed by the peer, or by the network.
    Peer,
    /// Closed by either side before the handshake was complete: the peer was late, did not speak ZMTP, or did not prove an
    /// allowed key.
    Handshake,
    /// Closed by the router: the peer sent something that is not ZMTP.
    Malformed,
    /// Closed by the router: a message was larger than the limit.
    Oversize,
    /// Closed by the router: partial messages took too much memory, and this peer's the most.
    Crowded,
    /// Closed by the router: unread messages took too much memory, and this peer's the most.
    Unread,
    /// Closed by the router when it was accepted: too many connections were open, in total or from its address.
    TooMany,
    /// Closed by the router: the key is no longer allowed, or a worker did not read its messages.
    Ended,
}

impl From<&trackyard_zmtp::ZmtpError> for CloseReason {
    fn from(error: &trackyard_zmtp::ZmtpError) -> Self {
        if error.is_oversize() { Self::Oversize } else { Self::Malformed }
    }
}

/// Why the ports cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// The endpoint cannot be bound.
    #[error("cannot bind {endpoint}: {source}; is another router running?")]
    Bind {
        /// The endpoint.
        endpoint: Endpoint,
        /// The error of the system.
        source: Errno,
    },
    /// The descriptors for polling cannot be created.
    #[error("cannot create a descriptor for events: {0}")]
    Events(#[from] Errno),
    /// The router's key is invalid.
    #[error("the router's key pair is invalid: its text is not a key")]
    Key,
    /// The serving thread cannot be started.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
}
