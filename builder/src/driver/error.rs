//! Why there is no image.

use std::io;
use std::time::Duration;

use super::{DriverKind, Unusable};
use crate::confine;

/// Why there is no image.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Error {
    /// The repository has none.
    #[error("there is no Dockerfile at the top of the repository, or it is no regular file")]
    NoDockerfile,
    /// The Dockerfile could not be built.
    #[error("{said}")]
    Failed {
        /// The last that was printed.
        said: String,
    },
    /// The Dockerfile asks for what this driver cannot do.
    #[error("{driver} cannot do what the Dockerfile asks for: {feature} (line {line}); {able} can")]
    Unsupported {
        /// This driver.
        driver: DriverKind,
        /// What is asked for.
        feature: &'static str,
        /// Where.
        line: usize,
        /// A driver that can.
        able: DriverKind,
    },
    /// Nothing was printed for too long.
    #[error("the build printed nothing for {0:?}, the limit")]
    Idle(Duration),
    /// It filled the disk.
    #[error("the build took more than {0} bytes of disk, the limit")]
    Disk(u64),
    /// It took too much memory.
    #[error("the build took more memory than its limit")]
    Memory,
    /// The driver cannot be used here.
    #[error(transparent)]
    Unusable(#[from] Unusable),
    /// The driver itself failed.
    #[error("{driver} failed: {said}")]
    Broken {
        /// Which.
        driver: DriverKind,
        /// What it said.
        said: String,
    },
    /// This machine's files.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// The caller did not want it any more.
    #[error("the build was cancelled")]
    Cancelled,
}

impl Error {
    pub(super) fn io(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what, source }
    }
}

impl From<confine::Error> for Error {
    fn from(error: confine::Error) -> Self {
        match error {
            confine::Error::Idle(limit) => Self::Idle(limit),
            confine::Error::Disk(limit) => Self::Disk(limit),
            confine::Error::Memory => Self::Memory,
            confine::Error::Cancelled => Self::Cancelled,
            confine::Error::Spawn { source, .. } => Self::Io { what: "start the driver", source },
        }
    }
}
