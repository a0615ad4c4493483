//! Child processes that end with the bench.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use e2e::ports::free_port;
use e2e::wait::wait_until;

/// A process that is killed when this is dropped.
pub(crate) struct Running(Child);

impl Running {
    /// Starts `command` and discards its output.
    pub(crate) fn start(command: &mut Command) -> io::Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().map(Self)
    }

    /// Returns the process's id.
    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The process may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts the bench itself as a peer.
pub(crate) fn role(args: &[&str]) -> io::Result<Running> {
    Running::start(Command::new(std::env::current_exe()?).args(args))
}

/// Returns a loopback address on which nothing listens.
pub(crate) fn free_address() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, free_port()).into()
}

/// Waits until something listens at an address.
pub(crate) fn wait_for(address: SocketAddr) {
    wait_until(Duration::from_secs(30), "a listener", || TcpStream::connect(address).is_ok());
}
