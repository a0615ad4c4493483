//! ZeroMQ at the edge: the ports, their connections, and the bytes in and out. One thread owns all of it; nothing here
//! blocks, but for the one poll. What the bytes mean is the crate `trackyard-zmtp`'s to say.

mod admission;
mod census;
mod closed;
mod connection;
mod error;
mod handshakes;
mod output;
mod port;
mod port_kind;
mod ports;
mod quiet;
#[cfg(test)]
mod tests;
mod wake;

pub use admission::Admits;
pub use closed::Closed;
pub use connection::{Input, Origin, SendError};
pub use error::Error;
pub use port::Port;
pub use port_kind::PortKind;
pub use ports::{Bounds, Ports};
pub use wake::Waker;
