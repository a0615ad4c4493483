//! Errors of drivers.

use std::io;
use std::time::Duration;

use super::{DriverKind, DriverUnavailable};
use crate::confine::ConfineError;

/// An image could not be built.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum DriverError {
    /// The repository has no Dockerfile.
    #[error("there is no Dockerfile at the top of the repository, or it is no regular file")]
    NoDockerfile,
    /// The Dockerfile could not be built.
    #[error("{output}")]
    Failed {
        /// The last lines of the output.
        output: String,
    },
    /// The Dockerfile uses a feature that this driver does not support.
    #[error("{driver} does not support {feature} (line {line} of the Dockerfile); {alternative} does")]
    Unsupported {
        /// This driver.
        driver: DriverKind,
        /// The feature.
        feature: &'static str,
        /// The line of the Dockerfile, from 1.
        line: usize,
        /// A driver that supports it.
        alternative: DriverKind,
    },
    /// The build printed nothing for too long.
    #[error("the build printed nothing for {0:?}, the limit")]
    Idle(Duration),
    /// The build exceeded its disk limit.
    #[error("the build took more than {0} bytes of disk, the limit")]
    Disk(u64),
    /// The build exceeded its memory limit.
    #[error("the build took more memory than its limit")]
    Memory,
    /// The driver cannot be used on this machine.
    #[error(transparent)]
    Unusable(#[from] DriverUnavailable),
    /// The driver itself failed.
    #[error("{driver} failed: {output}")]
    Broken {
        /// The driver.
        driver: DriverKind,
        /// Its last lines of output.
        output: String,
    },
    /// A file operation on this machine failed.
    #[error("cannot {what}: {source}")]
    Io {
        /// The operation.
        what: &'static str,
        /// The system's error.
        source: io::Error,
    },
    /// The caller cancelled the build.
    #[error("the build was cancelled")]
    Cancelled,
}

impl DriverError {
    pub(super) fn io(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what, source }
    }
}

impl From<ConfineError> for DriverError {
    fn from(error: ConfineError) -> Self {
        match error {
            ConfineError::Idle(limit) => Self::Idle(limit),
            ConfineError::Disk(limit) => Self::Disk(limit),
            ConfineError::Memory => Self::Memory,
            ConfineError::Cancelled => Self::Cancelled,
            ConfineError::Spawn { source, .. } => Self::Io { what: "start the driver", source },
        }
    }
}
