//! Why keys cannot be used.

use std::io;
use std::path::PathBuf;

use trackyard_protocol::allowed::Mistake;
use trackyard_protocol::keys;

/// Why keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// The router's own key is invalid or cannot be read.
    #[error(transparent)]
    Own(#[from] keys::Error),
    /// The list cannot be read.
    #[error("cannot read the list of allowed keys {}: {source}", list.display())]
    Unreadable {
        /// The file.
        list: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The list is invalid.
    #[error("{}: {mistake}", list.display())]
    Refused {
        /// The file.
        list: PathBuf,
        /// What is wrong, and where.
        mistake: Mistake,
    },
}
