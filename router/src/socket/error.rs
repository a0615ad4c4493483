//! Why a port cannot be opened.

use rustix::io::Errno;

use crate::args::Endpoint;

/// Why a port cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The endpoint cannot be bound.
    #[error("cannot bind {endpoint}: {source}; is another router running?")]
    Bind {
        /// The endpoint.
        endpoint: Endpoint,
        /// What the system says.
        source: Errno,
    },
    /// The descriptors that all ports need.
    #[error("cannot make a descriptor for events: {0}")]
    Events(#[from] Errno),
    /// The router's key.
    #[error("the router's key pair is not one: its text is no key")]
    Key,
    /// A thread.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
}
