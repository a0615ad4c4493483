//! The server's end of a [ZMTP](https://rfc.zeromq.org/spec/37/) 3 connection, with NULL or CURVE security: bytes go
//! in, messages and bytes to send come out. It has no socket and no clock; whoever has them owns the buffers too.

pub mod curve;

mod bounds;
mod error;
mod message;
mod session;

pub use bounds::Bounds;
pub use error::Error;
pub use message::{Frames, Message};
pub use session::{Security, Session, Step};
