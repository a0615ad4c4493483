//! The router's own key, and who else may do what. The list of allowed keys is read again when its file changes; a
//! message whose key is not in it any more is refused, whatever connection it comes by.

mod error;
mod follow;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::watch;
use trackyard_protocol::allowed::{Allowed, Right};
use trackyard_protocol::keys::KeyPair;

pub use error::Error;

/// A list is a few hundred lines; more than this is another file.
const MAX_LIST_BYTES: u64 = 1 << 20;

/// The router's key and the list of those allowed. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Keyring {
    own: KeyPair,
    list: PathBuf,
    /// The list's text when it was opened; what differs from it later is a change.
    opened: Arc<str>,
    allowed: Arc<watch::Sender<Arc<Allowed>>>,
}

impl Keyring {
    /// Reads both files.
    ///
    /// # Errors
    /// If one cannot be read, or holds something else.
    pub fn open(own: &Path, list: &Path) -> Result<Self, Error> {
        let own = KeyPair::read(own)?;
        let text = follow::read(list)?;
        let allowed = follow::parse(&text, list)?;
        let allowed = Arc::new(watch::Sender::new(Arc::new(allowed)));
        Ok(Self { own, list: list.to_owned(), opened: text.into(), allowed })
    }

    /// The router's own key.
    #[must_use]
    pub fn own(&self) -> &KeyPair {
        &self.own
    }

    /// True if the owner of `key` may do `what` now.
    #[must_use]
    pub fn may(&self, key: &str, what: Right) -> bool {
        self.allowed.borrow().may(key, what)
    }

    /// Who may do what, now.
    #[must_use]
    pub fn allowed(&self) -> Arc<Allowed> {
        self.allowed.borrow().clone()
    }
}
