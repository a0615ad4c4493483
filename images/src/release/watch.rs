//! How a release is followed and stopped.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use trackyard_protocol::version::Digest;

use super::error::ReleaseError;

/// What happened. Its text is a line for the build's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// The blob is at the place already.
    Present {
        /// Which blob.
        digest: Digest,
    },
    /// A part of the blob was sent.
    Sending {
        /// Which blob.
        digest: Digest,
        /// How many bytes of it went out.
        sent: u64,
        /// How many it has.
        size: u64,
    },
    /// The blob is at the place now.
    Sent {
        /// Which blob.
        digest: Digest,
        /// How many bytes it has.
        size: u64,
    },
    /// Something broke, and is tried again.
    Again {
        /// What broke.
        error: ReleaseError,
    },
    /// The tag names the image now.
    Tagged {
        /// Which tag.
        tag: String,
    },
    /// The tag names another image, which stays.
    Kept {
        /// Which tag.
        tag: String,
        /// The digest that it names.
        digest: Digest,
    },
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Present { digest } => write!(f, "{digest} is there already"),
            Self::Sending { digest, sent, size } => write!(f, "{digest}: {sent} of {size} bytes sent"),
            Self::Sent { digest, size } => write!(f, "{digest}: all {size} bytes sent"),
            Self::Again { error } => write!(f, "trying again: {error}"),
            Self::Tagged { tag } => write!(f, "tagged {tag}"),
            Self::Kept { tag, digest } => write!(f, "the tag {tag} goes on to name {digest}"),
        }
    }
}

/// The caller's eye and hand on a release.
#[derive(Clone)]
pub struct Watch {
    cancel: CancellationToken,
    progress: Arc<dyn Fn(Progress) + Send + Sync>,
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("is_cancelled", &self.cancel.is_cancelled()).finish_non_exhaustive()
    }
}

/// Nobody watches, nobody cancels.
impl Default for Watch {
    fn default() -> Self {
        Self::new(CancellationToken::new(), |_| {})
    }
}

impl Watch {
    /// `progress` is told what happens, and must not block; the release ends soon after `cancel` is cancelled.
    pub fn new(cancel: CancellationToken, progress: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        Self { cancel, progress: Arc::new(progress) }
    }

    pub(crate) fn tell(&self, progress: Progress) {
        (self.progress)(progress);
    }

    /// `work`, unless it is cancelled before its end.
    pub(crate) async fn until_cancelled<T>(
        &self,
        work: impl Future<Output = Result<T, ReleaseError>>,
    ) -> Result<T, ReleaseError> {
        self.cancel.run_until_cancelled(work).await.unwrap_or(Err(ReleaseError::Cancelled))
    }
}
