//! The server's end of a [ZMTP](https://rfc.zeromq.org/spec/37/) 3 connection, with NULL or CURVE security: bytes go
//! in, messages and bytes to send come out. It has no socket and no clock; whoever has them owns the buffers too.
//!
//! Peers are libzmq's REQ, DEALER and ROUTER sockets of 4.0 and later, and others that speak ZMTP 3.0 or 3.1; we are a
//! ROUTER. Where the specification and libzmq differ, what libzmq sends is taken.

pub mod curve;

mod bounds;
mod command;
mod error;
mod frame;
mod greeting;
mod message;
mod properties;
mod security;
mod session;
mod step;

pub use bounds::Bounds;
pub use error::Error;
pub use message::{Frames, Message};
pub use security::Security;
pub use session::Session;
pub use step::Step;
