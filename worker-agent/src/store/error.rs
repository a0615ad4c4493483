//! Why an image is not ready.

use std::io;
use std::path::PathBuf;

use trackyard_protocol::reason::Reason;

use super::unpack::{Rejection, UnpackError};

/// Why the store cannot be used, or an image is not ready.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Two workers may not share a directory.
    #[error("the work directory {} is in use by {holder}: stop it, or give this worker another directory", dir.display())]
    Locked {
        /// The work directory.
        dir: PathBuf,
        /// Who holds it.
        holder: String,
    },
    /// The image could not be read from where it lives.
    #[error(transparent)]
    Pull(#[from] trackyard_images::ImageError),
    /// A layer breaks a rule.
    #[error("layer {layer} is refused: {rejected}")]
    Rejected {
        /// The layer's digest.
        layer: String,
        /// The rule.
        rejected: Rejection,
    },
    /// The image as a whole is too large.
    #[error("the image is refused: its layers are {size} bytes, more than {limit}")]
    ImageSize {
        /// All layers together, as they are transferred.
        size: u64,
        /// The most that is taken.
        limit: u64,
    },
    /// The machine failed: a full disk, too few rights, a broken file system.
    #[error("{what} failed: {source}")]
    Io {
        /// The operation.
        what: String,
        /// The system's error.
        source: io::Error,
    },
}

impl StoreError {
    /// The reason to give a client whose job needed the image.
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

    /// True if trying again later may help without anyone changing the image.
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

    /// An unpacker's error; [`UnpackError::NeedsLower`] is for the caller to act on.
    pub(crate) fn from_unpack(layer: &str, error: UnpackError) -> Self {
        match error {
            UnpackError::Rejected(rejected) => Self::Rejected { layer: layer.to_owned(), rejected },
            UnpackError::Io { what, source } => Self::Io { what: what.to_owned(), source },
            UnpackError::NeedsLower => Self::Rejected {
                layer: layer.to_owned(),
                rejected: Rejection::Tar("its layers below are missing"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(StoreError::Rejected { layer: String::new(), rejected: Rejection::Truncated }, Reason::UnpackRejected, false)]
    #[case(trackyard_images::ImageError::Throttled { location: String::new() }.into(), Reason::PullFailed, true)]
    #[case(trackyard_images::ImageError::TooLarge { what: String::new(), limit: 1 }.into(), Reason::UnpackRejected, false)]
    #[case(StoreError::Io { what: String::new(), source: io::ErrorKind::StorageFull.into() }, Reason::HostResources, true)]
    fn reasons(#[case] error: StoreError, #[case] reason: Reason, #[case] transient: bool) {
        assert_eq!((error.reason(), error.is_transient()), (reason, transient));
    }
}
