//! Why a submission could not be fetched.

use std::io;

use rustix::io::Errno;
use trackyard_protocol::reason::Reason;

/// Why a submission could not be fetched. The texts are for clients: they contain nothing but what the client sent
/// itself.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// The bucket is not one of the allowed ones.
    #[error("the bucket {0:?} is not one that submissions may come from")]
    Bucket(String),
    /// The directory is not below an allowed one.
    #[error("file://{0} is not below a directory that submissions may come from")]
    Dir(String),
    /// The source has no files.
    #[error("there are no files at {0}")]
    Empty(String),
    /// A name could lead out of the job directory, or cannot be a file's name.
    #[error("the file name {key:?} is not safe: {why}")]
    UnsafeKey {
        /// The name, cut to 200 characters.
        key: String,
        /// The rule that it breaks.
        why: &'static str,
    },
    /// Too many files.
    #[error("the submission has more than {limit} {what}")]
    Count {
        /// Files, or files and directories.
        what: &'static str,
        /// The limit.
        limit: u32,
    },
    /// Too many bytes.
    #[error("the submission is larger than {limit} bytes")]
    Size {
        /// The limit in bytes.
        limit: u64,
    },
    /// The source did not deliver the files.
    #[error("cannot fetch {what}: {why}")]
    Download {
        /// What was asked for.
        what: String,
        /// What happened, in our own words: a server's text may contain anything.
        why: String,
    },
    /// The machine could not write the files.
    #[error("the submission cannot be written: {0}")]
    Write(#[from] io::Error),
}

impl InputError {
    /// Returns the reason of a job that failed with this error.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::Bucket(_) | Self::Dir(_) | Self::Empty(_) => Reason::BadUri,
            Self::UnsafeKey { .. } => Reason::UnsafeKey,
            Self::Count { .. } => Reason::InputCount,
            Self::Size { .. } => Reason::InputSize,
            Self::Download { .. } => Reason::Download,
            // The job directory has a limit of its own, which may be lower than that of the input.
            Self::Write(error) if error.raw_os_error() == Some(Errno::NOSPC.raw_os_error()) => {
                Reason::InputSize
            }
            Self::Write(_) => Reason::HostResources,
        }
    }

    pub(crate) fn unsafe_key(key: &str, why: &'static str) -> Self {
        Self::UnsafeKey { key: key.chars().take(200).collect(), why }
    }

    pub(crate) fn download(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Download { what: what.into(), why: why.into() }
    }
}
