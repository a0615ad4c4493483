//! Free ports on loopback.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixListener};

use super::Error;

/// Addresses that were free a moment ago. All are held until the last is found, so that they differ.
#[derive(Debug, Default)]
pub(super) struct Ports(Vec<TcpListener>);

impl Ports {
    /// A free port; `usual` if that is free.
    pub(super) fn take(&mut self, usual: Option<u16>) -> Result<SocketAddr, Error> {
        let bind = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
        let listener = usual.map(bind).and_then(Result::ok).map_or_else(|| bind(0), Ok);
        let listener = listener.map_err(Error::system("find a free port on 127.0.0.1"))?;
        let address = listener.local_addr().map_err(Error::system("find a free port on 127.0.0.1"))?;
        self.0.push(listener);
        Ok(address)
    }
}

/// The right to the usual ports, which one `local` of a machine has at a time: between the look at a port and the part
/// that binds it, another could take it. A name that only the kernel knows: it leaves no file, and goes with its process.
#[derive(Debug)]
pub(super) struct UsualPorts {
    _held: UnixListener,
}

impl UsualPorts {
    /// Takes the right, unless another has it.
    pub(super) fn claim() -> Option<Self> {
        let name = UnixAddress::from_abstract_name("trackyard-local-usual-ports").ok()?;
        UnixListener::bind_addr(&name).ok().map(|held| Self { _held: held })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_not_given_again() {
        let mut ports = Ports::default();
        let first = ports.take(None).unwrap();
        let second = ports.take(Some(first.port())).unwrap();
        assert_ne!(first, second);
        drop(ports);
        assert_eq!(Ports::default().take(Some(first.port())).unwrap(), first);
    }
}
