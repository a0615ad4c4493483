//! Why a layer is refused.

use std::io;

/// The rule that a layer breaks. Names are shown escaped and cut.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Rejection {
    /// `/etc/passwd`.
    #[error("{0} is an absolute path")]
    Absolute(String),
    /// `a/../b`.
    #[error("{0} has a component ..")]
    ParentComponent(String),
    /// Empty, too long, with a NUL, or of a directory where none can be.
    #[error("{0} is not a usable path: {1}")]
    Path(String, &'static str),
    /// Something is put into a file.
    #[error("{0} is not a directory, and another entry goes into it")]
    NotADirectory(String),
    /// A block or character device.
    #[error("{0} is a device; build the image without it")]
    Device(String),
    /// A named pipe.
    #[error("{0} is a named pipe; build the image without it")]
    Fifo(String),
    /// A sparse file.
    #[error("{0} is stored as a sparse file; build the image with another tool")]
    Sparse(String),
    /// A kind of entry that is not known.
    #[error("{0} is of the unknown entry type {1}")]
    EntryType(String, u8),
    /// An owner that no user namespace here maps.
    #[error("{0} belongs to {1}:{2}; owners must be from 0 to 65535")]
    Owner(String, u64, u64),
    /// A hard link to nothing, or to what cannot be linked to.
    #[error("{0} is a hard link to {1}, which is not a file of this image")]
    LinkTarget(String, String),
    /// A whiteout that names nothing.
    #[error("{0} is a whiteout without a usable name")]
    Whiteout(String),
    /// A symlink too many, a directory that is a file, a name that the file system does not take.
    #[error("{0} cannot be placed: {1}")]
    Unplaceable(String, String),
    /// Too many entries.
    #[error("the layer has more than {0} entries")]
    Entries(u64),
    /// Too many bytes.
    #[error("the layer unpacks to more than {0} bytes")]
    Size(u64),
    /// A bomb.
    #[error("the layer unpacks to more than {0} times its size")]
    Ratio(u64),
    /// Directory names without end.
    #[error("the layer's directory names take more than {0} bytes")]
    DirectoryNames(usize),
    /// Not a tar file.
    #[error("the layer is not a valid tar file: {0}")]
    Tar(&'static str),
    /// Not what its media type says.
    #[error("the layer cannot be decompressed: {0}")]
    Compression(String),
    /// It ends too early.
    #[error("the layer ends in the middle of an entry or of its compressed data")]
    Truncated,
    /// The tar file is not the one that the image's configuration names.
    #[error("the layer's content is {found}, not {expected} as the image's configuration says")]
    DiffId {
        /// What the configuration names.
        expected: String,
        /// What came.
        found: String,
    },
}

impl Rejection {
    /// Finds the refusal that a reader carried in an I/O error; anything else is a fault of the compressed data.
    pub(crate) fn from_read(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            return Self::Truncated;
        }
        let carried = error.get_ref().and_then(|inner| inner.downcast_ref::<Self>());
        carried.cloned().unwrap_or_else(|| Self::Compression(error.to_string().chars().take(200).collect()))
    }
}

/// A name as errors show it.
pub(crate) fn shown(name: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(name).chars().take(160).collect();
    format!("{text:?}")
}
