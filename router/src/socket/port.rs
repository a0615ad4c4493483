//! A port that peers connect to.

use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::sockopt::{
    set_socket_keepalive, set_socket_reuseaddr, set_tcp_keepcnt, set_tcp_keepidle, set_tcp_keepintvl,
    set_tcp_nodelay, set_tcp_user_timeout,
};
use rustix::net::{AddressFamily, SocketFlags, SocketType, accept_with, bind, listen, socket_with};
use trackyard_protocol::keys::KeyPair;
use trackyard_zmtp::{Security, curve};

use super::connection_limiter::ConnectionLimiter;
use super::log_throttle::LogThrottle;
use super::{PortKind, SocketError};
use crate::args::Endpoint;
use crate::dispatch::Peer;

/// Maximum number of connections that wait to be accepted.
const BACKLOG: i32 = 1024;
/// Milliseconds after which the kernel closes the connection of a peer that does not read (`TCP_USER_TIMEOUT` of tcp(7),
/// which also counts a closed window).
const UNREAD_TIMEOUT_MS: u32 = 30_000;

/// A bound port.
pub struct Port {
    kind: PortKind,
    listener: TcpListener,
    endpoint: Endpoint,
    security: Security,
    limiter: ConnectionLimiter,
    refusals: LogThrottle,
}

/// The outcome of accepting a connection.
pub(super) enum Accepted {
    /// A connection, and the address of its peer.
    Admitted(TcpStream, IpAddr),
    /// There were too many connections; this one is closed.
    Refused(IpAddr),
    /// The peer disconnected before it was accepted.
    Disconnected,
    /// No more connections wait.
    WouldBlock,
}

impl Port {
    /// Binds `endpoint`. With `key` only peers with a key may connect. The port admits `max_connections` connections, and
    /// half of them from one address.
    ///
    /// # Errors
    /// If the endpoint cannot be bound.
    pub fn bind(
        kind: PortKind,
        endpoint: &Endpoint,
        key: Option<&KeyPair>,
        max_connections: usize,
    ) -> Result<Self, SocketError> {
        let failed = |source| SocketError::Bind { endpoint: endpoint.clone(), source };
        let listener = listen_on(endpoint.address()).map_err(failed)?;
        let bound = listener.local_addr().map_err(|error| failed(errno(&error)))?;
        let security = match key {
            None => Security::Null,
            Some(key) => {
                let (secret, public) = key.to_bytes().ok_or(SocketError::Key)?;
                Security::Curve(curve::ServerKeys::new(secret, public))
            }
        };
        Ok(Self {
            kind,
            listener,
            endpoint: bound.into(),
            security,
            limiter: ConnectionLimiter::new(max_connections),
            refusals: LogThrottle::default(),
        })
    }

    /// Returns the kind of the port.
    #[must_use]
    pub const fn kind(&self) -> PortKind {
        self.kind
    }

    /// Returns the endpoint, with the port number that was bound.
    #[must_use]
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(super) const fn listener(&self) -> &TcpListener {
        &self.listener
    }

    pub(super) const fn security(&self) -> &Security {
        &self.security
    }

    /// Accepts the next connection that waits, and gives it the number `peer`.
    pub(super) fn accept(&mut self, peer: Peer) -> Result<Accepted, Errno> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let stream = match accept_with(&self.listener, flags) {
            Ok(descriptor) => TcpStream::from(descriptor),
            Err(Errno::AGAIN) => return Ok(Accepted::WouldBlock),
            Err(Errno::CONNABORTED | Errno::INTR | Errno::PROTO) => return Ok(Accepted::Disconnected),
            Err(error) => return Err(error),
        };
        let Ok(address) = stream.peer_addr() else { return Ok(Accepted::Disconnected) };
        let from = address.ip().to_canonical();
        if !self.limiter.admit(peer, from) {
            if self.refusals.should_log() {
                let port = <&str>::from(self.kind);
                tracing::warn!(port, %from, "too many connections: new ones are closed");
            }
            return Ok(Accepted::Refused(from));
        }
        // If setting an option fails, the connection is already closed.
        let _ = set_options(&stream);
        Ok(Accepted::Admitted(stream, from))
    }

    pub(super) fn release(&mut self, peer: Peer) {
        self.limiter.release(peer);
    }
}

fn listen_on(address: SocketAddr) -> Result<TcpListener, Errno> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    set_socket_reuseaddr(&socket, true)?;
    bind(&socket, &address)?;
    listen(&socket, BACKLOG)?;
    Ok(socket.into())
}

/// Sets the options of a connection. Keepalive detects a machine that is gone within two minutes, and the user timeout a
/// peer that does not read.
fn set_options(stream: &TcpStream) -> Result<(), Errno> {
    set_tcp_nodelay(stream, true)?;
    set_socket_keepalive(stream, true)?;
    set_tcp_keepidle(stream, Duration::from_secs(60))?;
    set_tcp_keepintvl(stream, Duration::from_secs(15))?;
    set_tcp_keepcnt(stream, 4)?;
    set_tcp_user_timeout(stream, UNREAD_TIMEOUT_MS)
}

fn errno(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::INVAL)
}
