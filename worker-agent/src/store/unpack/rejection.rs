//! Why a layer is refused.

use std::io;

/// The rule that a layer breaks. Names are escaped and cut.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Rejection {
    /// A name is absolute, such as `/etc/passwd`.
    #[error("{0} is an absolute path")]
    Absolute(String),
    /// A name has a component `..`, such as `a/../b`.
    #[error("{0} has a component ..")]
    ParentComponent(String),
    /// A name is empty, too long, contains a NUL, or is otherwise not usable.
    #[error("{0} is not a usable path: {1}")]
    Path(String, &'static str),
    /// An entry lies below something that is not a directory.
    #[error("{0} is not a directory, and another entry goes into it")]
    NotADirectory(String),
    /// An entry is a block or character device.
    #[error("{0} is a device; build the image without it")]
    Device(String),
    /// An entry is a named pipe.
    #[error("{0} is a named pipe; build the image without it")]
    Fifo(String),
    /// An entry is a sparse file.
    #[error("{0} is stored as a sparse file; build the image with another tool")]
    Sparse(String),
    /// An entry is of an unknown type.
    #[error("{0} is of the unknown entry type {1}")]
    EntryType(String, u8),
    /// An entry has an owner that a slot's user namespace does not map.
    #[error("{0} belongs to {1}:{2}; owners must be from 0 to 65535")]
    Owner(String, u64, u64),
    /// A hard link's target does not exist, or cannot be linked to.
    #[error("{0} is a hard link to {1}, which is not a file of this image")]
    LinkTarget(String, String),
    /// A whiteout does not name anything.
    #[error("{0} is a whiteout without a usable name")]
    Whiteout(String),
    /// The file system refuses an entry: too many symlinks, a file in the place of a directory, an invalid name.
    #[error("{0} cannot be placed: {1}")]
    Unplaceable(String, String),
    /// The layer has too many entries.
    #[error("the layer has more than {0} entries")]
    Entries(u64),
    /// The layer unpacks to too many bytes.
    #[error("the layer unpacks to more than {0} bytes")]
    Size(u64),
    /// The layer unpacks to too many times its size.
    #[error("the layer unpacks to more than {0} times its size")]
    Ratio(u64),
    /// The names of the layer's directories take too much memory.
    #[error("the layer's directory names take more than {0} bytes")]
    DirectoryNames(usize),
    /// The layer is not a valid tar file.
    #[error("the layer is not a valid tar file: {0}")]
    Tar(&'static str),
    /// The layer's bytes do not match its media type.
    #[error("the layer cannot be decompressed: {0}")]
    Compression(String),
    /// The layer ends too early.
    #[error("the layer ends in the middle of an entry or of its compressed data")]
    Truncated,
    /// The layer's content is not what the image's configuration names.
    #[error("the layer's content is {found}, not {expected} as the image's configuration says")]
    DiffId {
        /// The digest in the configuration.
        expected: String,
        /// The digest of the content.
        found: String,
    },
}

impl Rejection {
    /// Extracts the rejection that a reader put into an I/O error. Any other error means bad compressed data.
    pub(crate) fn from_read(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            return Self::Truncated;
        }
        let carried = error.get_ref().and_then(|inner| inner.downcast_ref::<Self>());
        carried.cloned().unwrap_or_else(|| Self::Compression(error.to_string().chars().take(200).collect()))
    }
}

/// Returns a name as errors show it: quoted, escaped and cut.
pub(crate) fn quoted(name: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(name).chars().take(160).collect();
    format!("{text:?}")
}
