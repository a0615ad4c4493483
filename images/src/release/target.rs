//! What each kind of place must be able to do for a release.

use async_trait::async_trait;
use trackyard_protocol::version::Digest;

use super::built::{Built, BuiltBlob};
use super::error::ReleaseError;
use super::tags::Tag;
use super::watch::Watch;
use crate::error::Error;

/// A place that takes images. `repository` is a checked name, a tag's name a valid one.
#[async_trait]
pub(crate) trait Target: Send + Sync {
    /// What a tag names; nothing if the tag or the whole repository is not there.
    async fn named(&self, repository: &str, tag: &str) -> Result<Option<Digest>, Error>;

    /// Makes what blobs need: the repository.
    async fn prepare(&self, repository: &str) -> Result<(), ReleaseError>;

    /// Puts a blob, if it is not there.
    async fn put_blob(
        &self,
        repository: &str,
        built: &Built,
        blob: &BuiltBlob,
        watch: &Watch,
    ) -> Result<(), ReleaseError>;

    /// Makes a tag name the image, whose blobs are there. Where the place can tell, a tag that names another image
    /// for ever is not touched, and the answer [`Put::Taken`].
    async fn put_tag(&self, repository: &str, built: &Built, tag: &Tag) -> Result<Put, ReleaseError>;
}

/// What became of a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Put {
    Written,
    /// The place keeps what the tag names.
    Taken,
}
