//! The router's own key, and the list of allowed keys with their rights. The list is read again when its file changes. A
//! message with a key that is no longer in the list is refused, even on an open connection.

mod error;
mod watch;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::watch as channel;
use trackyard_protocol::allowed::{Allowed, Right};
use trackyard_protocol::keys::KeyPair;

pub use error::KeyringError;

/// Maximum size of a list, which has a few hundred lines.
const MAX_LIST_BYTES: u64 = 1 << 20;

/// The router's key and the list of allowed keys. Clones share the list.
#[derive(Debug, Clone)]
pub struct Keyring {
    own: KeyPair,
    list: PathBuf,
    /// The list's text when it was opened, to notice later changes.
    opened: Arc<str>,
    allowed: Arc<channel::Sender<Arc<Allowed>>>,
}

impl Keyring {
    /// Reads both files.
    ///
    /// # Errors
    /// If a file cannot be read or is invalid.
    pub fn open(own: &Path, list: &Path) -> Result<Self, KeyringError> {
        let own = KeyPair::read(own)?;
        let text = watch::read(list)?;
        let allowed = watch::parse(&text, list)?;
        let allowed = Arc::new(channel::Sender::new(Arc::new(allowed)));
        Ok(Self { own, list: list.to_owned(), opened: text.into(), allowed })
    }

    /// Returns the router's own key.
    #[must_use]
    pub fn own(&self) -> &KeyPair {
        &self.own
    }

    /// Returns true if `key` has a right now.
    #[must_use]
    pub fn may(&self, key: &str, right: Right) -> bool {
        self.allowed.borrow().may(key, right)
    }

    /// Returns the list of allowed keys now.
    #[must_use]
    pub fn allowed(&self) -> Arc<Allowed> {
        self.allowed.borrow().clone()
    }
}
