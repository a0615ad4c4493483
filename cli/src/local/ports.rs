//! Free ports on loopback.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixListener};

use super::LocalError;

/// Reserves free ports. All stay bound until this is dropped, so that they differ.
#[derive(Debug, Default)]
pub(super) struct FreePorts(Vec<TcpListener>);

impl FreePorts {
    /// Reserves a free port: `preferred`, if that is free.
    pub(super) fn reserve(&mut self, preferred: Option<u16>) -> Result<SocketAddr, LocalError> {
        let bind = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
        let listener = preferred.map(bind).and_then(Result::ok).map_or_else(|| bind(0), Ok);
        let listener = listener.map_err(LocalError::system("find a free port on 127.0.0.1"))?;
        let address = listener.local_addr().map_err(LocalError::system("find a free port on 127.0.0.1"))?;
        self.0.push(listener);
        Ok(address)
    }
}

/// Lock on the default ports, which only one `local` of a machine may use at a time: between the check of a port and its
/// use by the router, another process could take it. It is an abstract socket, so the kernel releases it with its process.
#[derive(Debug)]
pub(super) struct DefaultPortsLock {
    _socket: UnixListener,
}

impl DefaultPortsLock {
    /// Acquires the lock, unless another process has it.
    pub(super) fn try_acquire() -> Option<Self> {
        let name = UnixAddress::from_abstract_name("trackyard-local-usual-ports").ok()?;
        UnixListener::bind_addr(&name).ok().map(|socket| Self { _socket: socket })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserved_port_is_not_reserved_again() {
        let mut ports = FreePorts::default();
        let first = ports.reserve(None).unwrap();
        let second = ports.reserve(Some(first.port())).unwrap();
        assert_ne!(first, second);
        drop(ports);
        assert_eq!(FreePorts::default().reserve(Some(first.port())).unwrap(), first);
    }
}
