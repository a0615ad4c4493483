//! CURVE security ([RFC 26](https://rfc.zeromq.org/spec/26/)): both ends prove their keys, and everything after that is
//! encrypted with keys that are forgotten with the connection.

mod boxes;
mod channel;
#[cfg(test)]
pub(crate) mod client;
mod handshake;
mod nonce;
mod random;
mod server;

pub(crate) use boxes::Key;
pub(crate) use channel::{Channel, Opened};
pub(crate) use handshake::{HELLO, INITIATE, initiate, welcome};
pub(crate) use random::Random;
pub use server::Server;
