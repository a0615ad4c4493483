//! Why a port cannot be opened.

/// Why a port cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The endpoint cannot be bound.
    #[error("cannot bind {endpoint}: {source}; is another router running?")]
    Bind {
        /// The endpoint.
        endpoint: String,
        /// What libzmq says.
        source: zmq::Error,
    },
    /// A socket, its options or its monitor.
    #[error("cannot set up a socket: {0}")]
    Zmq(#[from] zmq::Error),
    /// The waker.
    #[error("cannot make an event descriptor: {0}")]
    Waker(#[from] rustix::io::Errno),
    /// A thread.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
    /// libzmq gave no address for what it bound.
    #[error("libzmq bound {0} and does not tell where")]
    Endpoint(String),
}
