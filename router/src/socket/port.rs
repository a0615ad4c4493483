//! One port: where peers connect.

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

use super::census::Census;
use super::quiet::Quiet;
use super::{Error, PortKind};
use crate::args::Endpoint;
use crate::dispatch::Peer;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;
/// Milliseconds that a peer may leave unread what it was sent, before the kernel ends the connection (`TCP_USER_TIMEOUT`
/// of tcp(7), which counts a closed window too).
const UNREAD: u32 = 30_000;

/// A bound port.
pub struct Port {
    kind: PortKind,
    listener: TcpListener,
    endpoint: Endpoint,
    security: Security,
    census: Census,
    refusals: Quiet,
}

/// Somebody connected.
pub(super) enum Arrival {
    /// A connection that may stay.
    Admitted(TcpStream, IpAddr),
    /// One too many; it is closed already.
    Refused(IpAddr),
    /// Who had connected has left already.
    Vanished,
    /// Nobody waits any more.
    None,
}

impl Port {
    /// Binds `endpoint`; with `key`, for peers with keys alone. It lets in `most` connections, and half of them from
    /// one address.
    ///
    /// # Errors
    /// If the endpoint cannot be bound.
    pub fn bind(
        kind: PortKind,
        endpoint: &Endpoint,
        key: Option<&KeyPair>,
        most: usize,
    ) -> Result<Self, Error> {
        let failed = |source| Error::Bind { endpoint: endpoint.clone(), source };
        let listener = open(endpoint.address()).map_err(failed)?;
        let bound = listener.local_addr().map_err(|error| failed(errno(&error)))?;
        let security = match key {
            None => Security::Null,
            Some(key) => {
                let (secret, public) = key.to_bytes().ok_or(Error::Key)?;
                Security::Curve(curve::ServerKeys::new(secret, public))
            }
        };
        Ok(Self {
            kind,
            listener,
            endpoint: bound.into(),
            security,
            census: Census::new(most),
            refusals: Quiet::default(),
        })
    }

    /// Which port it is.
    #[must_use]
    pub const fn kind(&self) -> PortKind {
        self.kind
    }

    /// Where it is bound, with the port that was taken.
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

    /// Accepts the next who waits, to be known as `peer`.
    pub(super) fn accept(&mut self, peer: Peer) -> Result<Arrival, Errno> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let stream = match accept_with(&self.listener, flags) {
            Ok(descriptor) => TcpStream::from(descriptor),
            Err(Errno::AGAIN) => return Ok(Arrival::None),
            Err(Errno::CONNABORTED | Errno::INTR | Errno::PROTO) => return Ok(Arrival::Vanished),
            Err(error) => return Err(error),
        };
        let Ok(address) = stream.peer_addr() else { return Ok(Arrival::Vanished) };
        let from = address.ip().to_canonical();
        if !self.census.arrives(peer, from) {
            if self.refusals.may_tell() {
                let port = <&str>::from(self.kind);
                tracing::warn!(port, %from, "too many connections: new ones are closed");
            }
            return Ok(Arrival::Refused(from));
        }
        // A connection on which they fail has ended already.
        let _ = prepare(&stream);
        Ok(Arrival::Admitted(stream, from))
    }

    pub(super) fn leaves(&mut self, peer: Peer) {
        self.census.leaves(peer);
    }
}

fn open(address: SocketAddr) -> Result<TcpListener, Errno> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    set_socket_reuseaddr(&socket, true)?;
    bind(&socket, &address)?;
    listen(&socket, BACKLOG)?;
    Ok(socket.into())
}

/// A peer whose machine vanished is found by keepalive within two minutes; one that reads nothing, by its window.
fn prepare(stream: &TcpStream) -> Result<(), Errno> {
    set_tcp_nodelay(stream, true)?;
    set_socket_keepalive(stream, true)?;
    set_tcp_keepidle(stream, Duration::from_secs(60))?;
    set_tcp_keepintvl(stream, Duration::from_secs(15))?;
    set_tcp_keepcnt(stream, 4)?;
    set_tcp_user_timeout(stream, UNREAD)
}

fn errno(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::INVAL)
}
