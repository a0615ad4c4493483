//! Why a submission is not there.

use std::io;

use rustix::io::Errno;
use trackyard_protocol::reason::Reason;

/// Why a submission is not there. The texts are for clients: they name nothing but what the client named itself.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// The bucket is not on the list.
    #[error("the bucket {0:?} is not one that submissions may come from")]
    Bucket(String),
    /// The directory is not below one of the list.
    #[error("file://{0} is not below a directory that submissions may come from")]
    Dir(String),
    /// There is nothing.
    #[error("there are no files at {0}")]
    Empty(String),
    /// A name that could lead out of the job directory, or cannot be a file's name.
    #[error("the file name {key:?} is not safe: {why}")]
    UnsafeKey {
        /// The name, cut to 200 characters.
        key: String,
        /// The rule.
        why: &'static str,
    },
    /// Too many files.
    #[error("the submission has more than {limit} {what}")]
    Count {
        /// Files, or files and directories.
        what: &'static str,
        /// How many may be.
        limit: u32,
    },
    /// Too many bytes.
    #[error("the submission is larger than {limit} bytes")]
    Size {
        /// How many may be.
        limit: u64,
    },
    /// The place does not give the files.
    #[error("cannot fetch {what}: {why}")]
    Download {
        /// What was asked for.
        what: String,
        /// A word for what happened; never a server's own text, which may hold anything.
        why: String,
    },
    /// The machine cannot write the files.
    #[error("the submission cannot be written: {0}")]
    Write(#[from] io::Error),
}

impl InputError {
    /// The reason of a job that met this.
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
