//! The server's end of a [ZMTP](https://rfc.zeromq.org/spec/37/) 3 connection, with NULL or CURVE security: bytes go
//! in, messages and bytes to send come out. It has no socket and no clock; the caller owns the buffers.
//!
//! Peers are REQ, DEALER and ROUTER sockets of libzmq 4.0 and later, and others that speak ZMTP 3.0 or 3.1; this end is
//! a ROUTER. Where the specification and libzmq differ, this crate follows libzmq.

pub mod curve;

mod command;
mod error;
mod event;
mod frame;
mod greeting;
mod message;
mod message_limits;
mod properties;
mod security;
mod session;

pub use error::ZmtpError;
pub use event::SessionEvent;
pub use message::{Frames, Message};
pub use message_limits::MessageLimits;
pub use security::Security;
pub use session::Session;
