//! Releasing a built image: blobs first, then its tags in an order that lets nobody see half a release.

mod built;
mod error;
mod human;
mod plan;
mod tags;
mod target;
mod watch;

use std::path::Path;

use backon::BackoffBuilder;
use futures_util::{StreamExt, TryStreamExt, stream};
use trackyard_protocol::version::Digest;

use crate::options::Options;
pub(crate) use built::{Built, BuiltBlob};
pub use error::ReleaseError;
pub(crate) use plan::{Decision, decide};
pub use tags::ReleaseTags;
pub(crate) use tags::{Lasts, Tag};
pub(crate) use target::{Put, Target};
pub use watch::{Progress, Watch};

/// How many layers are sent at once.
const PARALLEL_LAYERS: usize = 3;

/// How a release ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Released {
    /// The image is at the place, under these tags.
    Done {
        /// The image's digest.
        digest: Digest,
        /// The tags that name it now, in the order in which they were written.
        tags: Vec<String>,
    },
    /// The commit was released already, as another image: that one stays, and no tag was written.
    Ignored {
        /// The digest of what is released.
        digest: Digest,
    },
}

/// The digest of the one image in the OCI layout directory `from`.
///
/// # Errors
/// When the directory is not one whole image.
pub async fn built_digest(from: &Path, options: &Options) -> Result<Digest, ReleaseError> {
    Ok(Built::open(from, options).await?.digest)
}

/// One release on its way.
pub(crate) struct Release<'a> {
    pub(crate) target: &'a dyn Target,
    pub(crate) repository: &'a str,
    pub(crate) place: &'a str,
    pub(crate) options: &'a Options,
    pub(crate) watch: &'a Watch,
}

impl Release<'_> {
    pub(crate) async fn run(&self, from: &Path, tags: &ReleaseTags) -> Result<Released, ReleaseError> {
        self.watch.until_cancelled(self.all(from, tags)).await
    }

    async fn all(&self, from: &Path, tags: &ReleaseTags) -> Result<Released, ReleaseError> {
        let built = Built::open(from, self.options).await?;
        let in_order = tags.in_order();
        // Before anything is sent: most releases that are to be ignored end here.
        if let Some(version) = in_order.first()
            && let Decision::Taken(digest) = self.decide(version, &built).await?
        {
            return Ok(Released::Ignored { digest });
        }
        self.target.prepare(self.repository).await?;
        self.blobs(&built).await?;
        self.tags(&built, &in_order).await
    }

    async fn blobs(&self, built: &Built) -> Result<(), ReleaseError> {
        let put = |layer| self.target.put_blob(self.repository, built, layer, self.watch);
        // Collected first: a closure within the stream would keep the compiler from seeing that it is `Send`.
        let layers: Vec<_> = built.layers.iter().map(put).collect();
        stream::iter(layers).buffer_unordered(PARALLEL_LAYERS).try_collect::<()>().await?;
        self.target.put_blob(self.repository, built, &built.config, self.watch).await
    }

    async fn tags(&self, built: &Built, in_order: &[Tag]) -> Result<Released, ReleaseError> {
        let mut written = Vec::with_capacity(in_order.len());
        for (number, tag) in in_order.iter().enumerate() {
            match self.tag(built, tag).await? {
                None => {
                    self.watch.tell(Progress::Tagged { tag: tag.name.clone() });
                    written.push(tag.name.clone());
                }
                Some(digest) if number == 0 => return Ok(Released::Ignored { digest }),
                Some(digest) => self.watch.tell(Progress::Kept { tag: tag.name.clone(), digest }),
            }
        }
        Ok(Released::Done { digest: built.digest.clone(), tags: written })
    }

    /// Writes a tag, unless it must go on to name another image: then that one's digest.
    ///
    /// Where the place itself keeps such tags (ECR, a layout directory) nothing can come between looking and writing. A
    /// plain registry cannot: two releases that both find the tag free both write it. So it is read again, and the
    /// one that finds the other's image there gives way. What stays possible there is that one of them reads before
    /// the other writes: then the later one holds the tag, and both believe to have it.
    async fn tag(&self, built: &Built, tag: &Tag) -> Result<Option<Digest>, ReleaseError> {
        match self.decide(tag, built).await? {
            Decision::Done => return Ok(None),
            Decision::Taken(digest) => return Ok(Some(digest)),
            Decision::Write => {}
        }
        match self.target.put_tag(self.repository, built, tag).await {
            Ok(Put::Written) if tag.lasts == Lasts::UntilTheNext => Ok(None),
            Ok(Put::Written | Put::Taken) => self.confirm(built, tag).await,
            Err(refused @ ReleaseError::Refused { .. }) => self.refused(built, tag, refused).await,
            Err(error) => Err(error),
        }
    }

    /// A tag was refused: maybe because the place keeps what it names.
    async fn refused(
        &self,
        built: &Built,
        tag: &Tag,
        refused: ReleaseError,
    ) -> Result<Option<Digest>, ReleaseError> {
        match self.target.named(self.repository, &tag.name).await? {
            Some(digest) if digest == built.digest => Ok(None),
            Some(digest) => Ok(Some(digest)),
            None => Err(refused),
        }
    }

    /// Reads again what a tag names. A place may take a moment to show what it took.
    async fn confirm(&self, built: &Built, tag: &Tag) -> Result<Option<Digest>, ReleaseError> {
        let mut waits = self.options.backoff().build();
        loop {
            match self.decide(tag, built).await? {
                Decision::Done => return Ok(None),
                Decision::Taken(digest) => return Ok(Some(digest)),
                Decision::Write => {}
            }
            let Some(wait) = waits.next() else {
                let what = format!("{}:{}", self.repository, tag.name);
                return Err(ReleaseError::Unconfirmed { place: self.place.to_owned(), what });
            };
            tokio::time::sleep(wait).await;
        }
    }

    async fn decide(&self, tag: &Tag, built: &Built) -> Result<Decision, ReleaseError> {
        let there = self.target.named(self.repository, &tag.name).await?;
        Ok(decide(tag, there.as_ref(), &built.digest))
    }
}
