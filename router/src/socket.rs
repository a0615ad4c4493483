//! libzmq at the edge. Nothing here blocks, but for the one poll; nothing but this module names the `zmq` crate.

mod error;
mod frame;
mod monitor;
mod options;
mod port;
#[cfg(test)]
mod tests;
mod wake;
mod witness;

pub use error::Error;
pub use frame::Frame;
pub use monitor::{Closed, Monitor};
pub use options::PortKind;
pub use port::{Port, SendError};
pub use wake::Waker;

use std::time::Duration;

/// libzmq's own threads; ends when everything made from it has ended.
pub type Context = zmq::Context;

/// Both sockets and the waker, of one thread.
pub struct Ports {
    /// Where clients connect.
    pub clients: Port,
    /// Where workers connect.
    pub workers: Port,
    /// How other threads end a poll.
    pub waker: Waker,
}

impl Ports {
    /// Waits until something can be received, somebody wakes this thread, or `timeout` has passed.
    pub fn wait(&self, timeout: Duration) {
        use std::os::fd::AsRawFd;
        let mut items = [
            self.clients.poll_item(),
            self.workers.poll_item(),
            zmq::PollItem::from_fd(self.waker.as_raw_fd(), zmq::POLLIN),
        ];
        // Rounded up: a poll that ends a moment before the timer is due would spin.
        let millis = i64::try_from(timeout.as_micros().div_ceil(1000)).unwrap_or(i64::MAX);
        match zmq::poll(&mut items, millis) {
            Ok(_) | Err(zmq::Error::EINTR) => {}
            Err(error) => tracing::error!(%error, "cannot poll the sockets"),
        }
        self.waker.reset();
    }
}
