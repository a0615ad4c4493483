//! Why keys cannot be used.

use std::io;
use std::path::PathBuf;

use trackyard_protocol::allowed::Mistake;
use trackyard_protocol::keys;

/// Why keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The router's own key.
    #[error(transparent)]
    Own(#[from] keys::Error),
    /// The list cannot be read.
    #[error("cannot read the list of allowed keys {}: {source}", list.display())]
    Unreadable {
        /// The file.
        list: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The list is none.
    #[error("{}: {mistake}", list.display())]
    Refused {
        /// The file.
        list: PathBuf,
        /// What is wrong, and where.
        mistake: Mistake,
    },
}
