//! The ZeroMQ ports and their connections: bytes in and out. One thread owns all of them, and blocks in the poll only. The
//! crate `trackyard-zmtp` implements the protocol.

mod admission;
mod connection;
mod connection_limiter;
mod handshakes;
mod kinds;
mod log_throttle;
mod output;
mod port;
mod ports;
#[cfg(test)]
mod tests;
mod wake;

pub use admission::AdmitFn;
pub use connection::{Input, Origin, SendError};
pub use connection_limiter::max_connections;
pub use kinds::{CloseReason, PortKind, SocketError};
pub use port::Port;
pub use ports::{MemoryLimits, Ports};
pub use wake::Waker;
