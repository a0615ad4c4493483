//! The binary on loopback ports, and peers with real sockets.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod changes;
mod clients;
mod descriptors;
mod ending;
mod floods;
mod harness;
mod keys;
mod peers;
