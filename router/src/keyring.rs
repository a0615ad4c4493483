//! The router's own key, and the list of allowed keys with their rights. The list is read again when its file changes. A
//! message with a key that is no longer in the list is refused, even on an open connection.

mod error;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use trackyard_protocol::allowed::{Allowed, Right};
use trackyard_protocol::keys::KeyPair;

pub use error::KeyringError;

use crate::reload::{ChangeDetector, ReloadOutcome};

/// Maximum size of a list, which has a few hundred lines.
const MAX_LIST_BYTES: u64 = 1 << 20;

/// The router's key and the list of allowed keys. Clones share the list.
#[derive(Debug, Clone)]
pub struct Keyring {
    own: KeyPair,
    list: PathBuf,
    /// Compares the list's text, or why it cannot be read, with what was last applied.
    changes: Arc<Mutex<ChangeDetector<Result<String, String>>>>,
    allowed: Arc<watch::Sender<Arc<Allowed>>>,
}

impl Keyring {
    /// Reads both files.
    ///
    /// # Errors
    /// If a file cannot be read or is invalid.
    pub fn open(own: &Path, list: &Path) -> Result<Self, KeyringError> {
        let own = KeyPair::read(own)?;
        let text = read(list)?;
        let allowed = Arc::new(watch::Sender::new(Arc::new(parse(&text, list)?)));
        let changes = Arc::new(Mutex::new(ChangeDetector::new(Ok(text))));
        Ok(Self { own, list: list.to_owned(), changes, allowed })
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

    /// Reads the list if it was edited, and puts the edit in force if it is valid. A list that is invalid or missing changes
    /// nothing.
    pub fn reload_if_changed(&self) -> ReloadOutcome {
        let text = read(&self.list).map_err(|error| error.to_string());
        if !self.changes.lock().unwrap_or_else(PoisonError::into_inner).has_changed(&text) {
            return ReloadOutcome::Unchanged;
        }
        match text.and_then(|text| parse(&text, &self.list).map_err(|error| error.to_string())) {
            Ok(allowed) => {
                tracing::info!(keys = allowed.len(), "the list of allowed keys changed and is in force");
                self.allowed.send_replace(Arc::new(allowed));
                ReloadOutcome::Applied
            }
            Err(error) => {
                tracing::error!(error, "the list of allowed keys is refused; the one before stays in force");
                ReloadOutcome::Refused
            }
        }
    }
}

fn read(list: &Path) -> Result<String, KeyringError> {
    let mut text = String::new();
    let read = File::open(list).and_then(|file| file.take(MAX_LIST_BYTES).read_to_string(&mut text));
    read.map(|_| text).map_err(|source| KeyringError::Unreadable { list: list.to_owned(), source })
}

fn parse(text: &str, list: &Path) -> Result<Allowed, KeyringError> {
    text.parse().map_err(|mistake| KeyringError::Refused { list: list.to_owned(), mistake })
}
