//! Progress reports and cancellation of a release.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use trackyard_protocol::version::Digest;

use super::error::ReleaseError;

/// One step of a release. Its text is a line of the build's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReleaseProgress {
    /// The target has the blob already.
    Present {
        /// The blob.
        digest: Digest,
    },
    /// Part of the blob was sent.
    Sending {
        /// The blob.
        digest: Digest,
        /// The bytes sent so far.
        sent: u64,
        /// The bytes in total.
        size: u64,
    },
    /// The blob was sent.
    Sent {
        /// The blob.
        digest: Digest,
        /// Its size in bytes.
        size: u64,
    },
    /// A transfer failed and is retried.
    Retrying {
        /// The failure.
        error: ReleaseError,
    },
    /// The tag names the image now.
    Tagged {
        /// The tag.
        tag: String,
    },
    /// The immutable tag names another image and was not changed.
    Kept {
        /// The tag.
        tag: String,
        /// The digest that it names.
        digest: Digest,
    },
}

impl fmt::Display for ReleaseProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Present { digest } => write!(f, "{digest} is there already"),
            Self::Sending { digest, sent, size } => write!(f, "{digest}: {sent} of {size} bytes sent"),
            Self::Sent { digest, size } => write!(f, "{digest}: all {size} bytes sent"),
            Self::Retrying { error } => write!(f, "trying again: {error}"),
            Self::Tagged { tag } => write!(f, "tagged {tag}"),
            Self::Kept { tag, digest } => write!(f, "the tag {tag} still names {digest}"),
        }
    }
}

/// A caller's control over a running release: progress reports and cancellation.
#[derive(Clone)]
pub struct ReleaseControl {
    cancel: CancellationToken,
    progress: Arc<dyn Fn(ReleaseProgress) + Send + Sync>,
}

impl fmt::Debug for ReleaseControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReleaseControl")
            .field("is_cancelled", &self.cancel.is_cancelled())
            .finish_non_exhaustive()
    }
}

/// Reports nothing and is never cancelled.
impl Default for ReleaseControl {
    fn default() -> Self {
        Self::new(CancellationToken::new(), |_| {})
    }
}

impl ReleaseControl {
    /// Calls `progress` for each step; it must not block. The release ends soon after `cancel` is cancelled.
    pub fn new(
        cancel: CancellationToken,
        progress: impl Fn(ReleaseProgress) + Send + Sync + 'static,
    ) -> Self {
        Self { cancel, progress: Arc::new(progress) }
    }

    pub(crate) fn report(&self, progress: ReleaseProgress) {
        (self.progress)(progress);
    }

    /// Runs `work` until it ends or the release is cancelled.
    pub(crate) async fn until_cancelled<T>(
        &self,
        work: impl Future<Output = Result<T, ReleaseError>>,
    ) -> Result<T, ReleaseError> {
        self.cancel.run_until_cancelled(work).await.unwrap_or(Err(ReleaseError::Cancelled))
    }
}
