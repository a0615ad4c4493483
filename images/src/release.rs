//! Releasing a built image: first blobs, then tags, in an order in which nobody sees half a release.

mod built;
mod control;
mod decision;
mod error;
mod reference_tag;
mod tags;
mod target;
mod to_ecr;
pub(crate) mod to_layout;
pub(crate) mod to_registry;

use std::path::Path;

use backon::BackoffBuilder;
use futures_util::{StreamExt, TryStreamExt, stream};
use trackyard_protocol::version::Digest;

use crate::options::ImageOptions;
pub(crate) use built::{BuiltBlob, BuiltImage};
pub use control::{ReleaseControl, ReleaseProgress};
pub(crate) use decision::{Decision, decide};
pub use error::ReleaseError;
pub use tags::ReleaseTags;
pub(crate) use tags::{Tag, TagMutability};
pub(crate) use target::{PutOutcome, Target, none_if_missing};

/// Maximum number of layers that are sent concurrently.
const MAX_CONCURRENT_LAYERS: usize = 3;

/// How a release ended without an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReleaseOutcome {
    /// The image was released under these tags.
    Done {
        /// The image's digest.
        digest: Digest,
        /// The tags that name it now, in the order of writing.
        tags: Vec<String>,
    },
    /// The commit was released already, as another image. That image stays, and no tag was written.
    Ignored {
        /// The digest of the image released earlier.
        digest: Digest,
    },
}

/// Returns the digest of the one image in the OCI layout directory `from`.
///
/// # Errors
/// If the directory is not one whole image.
pub async fn built_digest(from: &Path, options: &ImageOptions) -> Result<Digest, ReleaseError> {
    Ok(BuiltImage::open(from, options).await?.digest)
}

/// One release in progress.
pub(crate) struct Release<'a> {
    pub(crate) target: &'a dyn Target,
    pub(crate) repository: &'a str,
    pub(crate) location: &'a str,
    pub(crate) options: &'a ImageOptions,
    pub(crate) control: &'a ReleaseControl,
}

impl Release<'_> {
    pub(crate) async fn run(&self, from: &Path, tags: &ReleaseTags) -> Result<ReleaseOutcome, ReleaseError> {
        self.control.until_cancelled(self.release(from, tags)).await
    }

    async fn release(&self, from: &Path, tags: &ReleaseTags) -> Result<ReleaseOutcome, ReleaseError> {
        let built = BuiltImage::open(from, self.options).await?;
        let in_order = tags.in_order();
        // Checked before anything is sent: most releases that are ignored end here.
        if let Some(version) = in_order.first()
            && let Decision::Occupied(digest) = self.decide(version, &built).await?
        {
            return Ok(ReleaseOutcome::Ignored { digest });
        }
        self.target.prepare_repository(self.repository).await?;
        self.put_blobs(&built).await?;
        self.put_tags(&built, &in_order).await
    }

    async fn put_blobs(&self, built: &BuiltImage) -> Result<(), ReleaseError> {
        // Collected first, because the compiler cannot prove a stream with this closure to be `Send`.
        let layers: Vec<_> = built
            .layers
            .iter()
            .map(|layer| self.target.put_blob(self.repository, built, layer, self.control))
            .collect();
        stream::iter(layers).buffer_unordered(MAX_CONCURRENT_LAYERS).try_collect::<()>().await?;
        self.target.put_blob(self.repository, built, &built.config, self.control).await
    }

    async fn put_tags(&self, built: &BuiltImage, in_order: &[Tag]) -> Result<ReleaseOutcome, ReleaseError> {
        let mut written = Vec::with_capacity(in_order.len());
        for (index, tag) in in_order.iter().enumerate() {
            match self.put_tag(built, tag).await? {
                None => {
                    self.control.report(ReleaseProgress::Tagged { tag: tag.name.clone() });
                    written.push(tag.name.clone());
                }
                Some(digest) if index == 0 => return Ok(ReleaseOutcome::Ignored { digest }),
                Some(digest) => self.control.report(ReleaseProgress::Kept { tag: tag.name.clone(), digest }),
            }
        }
        Ok(ReleaseOutcome::Done { digest: built.digest.clone(), tags: written })
    }

    /// Writes a tag. If the tag is immutable and names another image, returns that image's digest instead.
    ///
    /// ECR and layout directories check and write an immutable tag in one step. A plain registry does not: two releases
    /// that both find the tag free both write it. So the tag is read again, and the release that finds the other's image
    /// gives way. If one of them reads before the other writes, both conclude that they won, and the tag names the
    /// image that was written last.
    async fn put_tag(&self, built: &BuiltImage, tag: &Tag) -> Result<Option<Digest>, ReleaseError> {
        match self.decide(tag, built).await? {
            Decision::AlreadyDone => return Ok(None),
            Decision::Occupied(digest) => return Ok(Some(digest)),
            Decision::Write => {}
        }
        match self.target.put_tag(self.repository, built, tag).await {
            Ok(PutOutcome::Written) if tag.mutability == TagMutability::Mutable => Ok(None),
            Ok(PutOutcome::Written | PutOutcome::Occupied) => self.confirm_tag(built, tag).await,
            Err(refused @ ReleaseError::Refused { .. }) => self.on_refused(built, tag, refused).await,
            Err(error) => Err(error),
        }
    }

    /// Handles a refused tag: the target may keep the image that the tag names.
    async fn on_refused(
        &self,
        built: &BuiltImage,
        tag: &Tag,
        refused: ReleaseError,
    ) -> Result<Option<Digest>, ReleaseError> {
        match self.target.resolve_tag(self.repository, &tag.name).await? {
            Some(digest) if digest == built.digest => Ok(None),
            Some(digest) => Ok(Some(digest)),
            None => Err(refused),
        }
    }

    /// Reads a tag again, with retries, because a registry may show a new tag with a delay.
    async fn confirm_tag(&self, built: &BuiltImage, tag: &Tag) -> Result<Option<Digest>, ReleaseError> {
        let mut delays = self.options.backoff().build();
        loop {
            match self.decide(tag, built).await? {
                Decision::AlreadyDone => return Ok(None),
                Decision::Occupied(digest) => return Ok(Some(digest)),
                Decision::Write => {}
            }
            let Some(delay) = delays.next() else {
                let what = format!("{}:{}", self.repository, tag.name);
                return Err(ReleaseError::Unconfirmed { location: self.location.to_owned(), what });
            };
            tokio::time::sleep(delay).await;
        }
    }

    async fn decide(&self, tag: &Tag, built: &BuiltImage) -> Result<Decision, ReleaseError> {
        let current = self.target.resolve_tag(self.repository, &tag.name).await?;
        Ok(decide(tag, current.as_ref(), &built.digest))
    }
}
