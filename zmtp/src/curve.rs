//! CURVE security ([RFC 26](https://rfc.zeromq.org/spec/26/)): both ends prove their keys, then encrypt everything with
//! keys that exist only as long as the connection.

mod boxes;
#[cfg(test)]
pub(crate) mod client;
mod codec;
mod handshake;
mod nonce;
mod random;
mod server_keys;

pub(crate) use boxes::BoxKey;
pub(crate) use codec::{CurveCodec, Opened};
pub(crate) use handshake::{HELLO, INITIATE, initiate, welcome};
pub(crate) use random::HandshakeRandom;
pub use server_keys::ServerKeys;
