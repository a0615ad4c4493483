//! The server's long-term keys.

use std::fmt::{self, Debug, Formatter};

use x25519_dalek::StaticSecret;

/// The server's long-term key pair. The secret is wiped when this is dropped.
pub struct ServerKeys {
    pub(super) secret: StaticSecret,
    pub(super) public: [u8; 32],
}

impl ServerKeys {
    /// Makes a key pair of the keys' bytes, not of their text.
    pub fn new(secret: [u8; 32], public: [u8; 32]) -> Self {
        Self { secret: StaticSecret::from(secret), public }
    }
}

impl Debug for ServerKeys {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ServerKeys").field("public", &self.public).finish_non_exhaustive()
    }
}
