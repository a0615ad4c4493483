//! What ends a connection.

/// Why a connection cannot go on. What is in the output is still to be sent, then it is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A frame or a message is larger than the bounds.
    #[error("a frame or a message is larger than the bounds")]
    Oversize,
}

impl Error {
    /// Whether the peer sent too much, rather than something that cannot be read.
    pub const fn is_oversize(&self) -> bool {
        matches!(self, Self::Oversize)
    }
}
