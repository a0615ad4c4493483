//! libzmq at the edge. Nothing here blocks, but for the one poll; nothing but this module names the `zmq` crate.

mod census;
mod error;
mod frame;
mod gatekeeper;
mod monitor;
mod options;
mod port;
#[cfg(test)]
mod tests;
mod wake;
mod witness;

pub use error::Error;
pub use frame::Frame;
pub use gatekeeper::Gatekeeper;
pub use monitor::{Closed, Monitor};
pub use options::PortKind;
pub use port::{Port, SendError};
pub use wake::Waker;

use std::time::Duration;

/// libzmq's own threads; ends when everything made from it has ended.
pub type Context = zmq::Context;

/// The sockets and the waker, of one thread.
pub struct Ports {
    /// Where clients connect.
    pub clients: Port,
    /// Where clients with a key connect.
    pub keyed_clients: Option<Port>,
    /// Where workers connect.
    pub workers: Port,
    /// How other threads end a poll.
    pub waker: Waker,
}

impl Ports {
    /// The port of a kind.
    #[must_use]
    pub fn of(&self, kind: PortKind) -> Option<&Port> {
        match kind {
            PortKind::Clients => Some(&self.clients),
            PortKind::KeyedClients => self.keyed_clients.as_ref(),
            PortKind::Workers => Some(&self.workers),
        }
    }

    /// Waits until something can be received, somebody wakes this thread, or `timeout` has passed.
    pub fn wait(&self, timeout: Duration) {
        use std::os::fd::AsRawFd;
        let mut items = Vec::with_capacity(4);
        items.push(zmq::PollItem::from_fd(self.waker.as_raw_fd(), zmq::POLLIN));
        items.extend([&self.clients, &self.workers].map(Port::poll_item));
        items.extend(self.keyed_clients.as_ref().map(Port::poll_item));
        // Rounded up: a poll that ends a moment before the timer is due would spin.
        let millis = i64::try_from(timeout.as_micros().div_ceil(1000)).unwrap_or(i64::MAX);
        match zmq::poll(&mut items, millis) {
            Ok(_) | Err(zmq::Error::EINTR) => {}
            Err(error) => tracing::error!(%error, "cannot poll the sockets"),
        }
        if items.first().is_some_and(zmq::PollItem::is_readable) {
            self.waker.reset();
        }
    }
}
