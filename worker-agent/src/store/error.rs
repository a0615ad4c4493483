//! Why an image is not ready.

use std::io;
use std::path::PathBuf;

use trackyard_protocol::reason::Reason;

use super::unpack::{Rejection, UnpackError};

/// Why the store cannot be used, or an image is not ready.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another worker uses the directory.
    #[error("the work directory {} is in use by {holder}: stop it, or give this worker another directory", dir.display())]
    Locked {
        /// The work directory.
        dir: PathBuf,
        /// The worker that uses it.
        holder: String,
    },
    /// The image could not be pulled from its source.
    #[error(transparent)]
    Pull(#[from] trackyard_images::ImageError),
    /// A layer breaks a rule.
    #[error("layer {layer} is refused: {rejection}")]
    Rejected {
        /// The layer's digest.
        layer: String,
        /// The rule that it breaks.
        rejection: Rejection,
    },
    /// The image as a whole is too large.
    #[error("the image is refused: its layers are {size} bytes, more than {limit}")]
    ImageSize {
        /// Bytes of all layers together, as they are transferred.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// The machine failed: a full disk, missing rights, a broken file system.
    #[error("cannot {what}: {source}")]
    Io {
        /// The operation.
        what: String,
        /// The system's error.
        source: io::Error,
    },
}

impl StoreError {
    /// Returns the reason for a client whose job needed the image.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        use trackyard_images::ImageError as Pull;
        match self {
            Self::Pull(
                Pull::MediaType { .. }
                | Pull::Malformed { .. }
                | Pull::TooLarge { .. }
                | Pull::Platform { .. },
            )
            | Self::Rejected { .. }
            | Self::ImageSize { .. } => Reason::UnpackRejected,
            Self::Pull(_) => Reason::PullFailed,
            Self::Locked { .. } | Self::Io { .. } => Reason::HostResources,
        }
    }

    /// Returns true if trying again later may help without a change to the image.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Pull(error) => error.is_transient(),
            Self::Io { .. } => true,
            Self::Locked { .. } | Self::Rejected { .. } | Self::ImageSize { .. } => false,
        }
    }

    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    /// Converts an unpacker's error. The caller should have handled [`UnpackError::NeedsLower`].
    pub(crate) fn from_unpack(layer: &str, error: UnpackError) -> Self {
        match error {
            UnpackError::Rejected(rejection) => Self::Rejected { layer: layer.to_owned(), rejection },
            UnpackError::Io { what, source } => Self::Io { what: what.to_owned(), source },
            UnpackError::NeedsLower => Self::Rejected {
                layer: layer.to_owned(),
                rejection: Rejection::Tar("its layers below are missing"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(StoreError::Rejected { layer: String::new(), rejection: Rejection::Truncated }, Reason::UnpackRejected, false)]
    #[case(trackyard_images::ImageError::Throttled { location: String::new() }.into(), Reason::PullFailed, true)]
    #[case(trackyard_images::ImageError::TooLarge { what: String::new(), limit: 1 }.into(), Reason::UnpackRejected, false)]
    #[case(StoreError::Io { what: String::new(), source: io::ErrorKind::StorageFull.into() }, Reason::HostResources, true)]
    fn reasons(#[case] error: StoreError, #[case] reason: Reason, #[case] transient: bool) {
        assert_eq!((error.reason(), error.is_transient()), (reason, transient));
    }
}
