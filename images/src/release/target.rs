//! Releasing: what each kind of target can do.

use async_trait::async_trait;
use trackyard_protocol::version::Digest;

use super::built::{BuiltBlob, BuiltImage};
use super::control::ReleaseControl;
use super::error::ReleaseError;
use super::tags::Tag;
use crate::error::ImageError;

/// A target of releases. `repository` is a checked name, and a tag's name is valid.
#[async_trait]
pub(crate) trait Target: Send + Sync {
    /// Returns the digest that a tag names, if the tag and its repository exist.
    async fn resolve_tag(&self, repository: &str, tag: &str) -> Result<Option<Digest>, ImageError>;

    /// Creates the repository if it is missing.
    async fn prepare_repository(&self, repository: &str) -> Result<(), ReleaseError>;

    /// Sends a blob unless the target has it.
    async fn put_blob(
        &self,
        repository: &str,
        built: &BuiltImage,
        blob: &BuiltBlob,
        control: &ReleaseControl,
    ) -> Result<(), ReleaseError>;

    /// Makes a tag name the image, whose blobs were sent. A target that can check this in the same step leaves an
    /// immutable tag of another image alone and returns [`PutOutcome::Occupied`].
    async fn put_tag(
        &self,
        repository: &str,
        built: &BuiltImage,
        tag: &Tag,
    ) -> Result<PutOutcome, ReleaseError>;
}

/// The outcome of writing a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PutOutcome {
    Written,
    /// The tag is immutable and names another image.
    Occupied,
}

/// Turns [`ImageError::NotFound`] into `None`.
pub(crate) fn none_if_missing<T>(found: Result<T, ImageError>) -> Result<Option<T>, ImageError> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(ImageError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
