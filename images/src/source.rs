//! What each kind of place must be able to do. Everything that it answers is checked by the caller.

use std::collections::BTreeMap;
use std::pin::Pin;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::Stream;
use trackyard_protocol::version::Digest;

use crate::document::Document;
use crate::error::Error;

/// Bytes as they come.
pub(crate) type ByteStream = Pin<Box<dyn Stream<Item = Result<Bytes, Error>> + Send>>;

/// A place that holds images. `repository` is a checked name.
#[async_trait]
pub(crate) trait Source: Send + Sync {
    /// The manifest or index that a tag names.
    async fn tagged(&self, repository: &str, tag: &str) -> Result<Document, Error>;

    /// All tags, by the digest of the manifest or index that they name.
    async fn list(&self, repository: &str) -> Result<BTreeMap<Digest, Vec<String>>, Error>;

    /// The manifest or index of a digest; at most [`crate::document::MAX_DOCUMENT`] bytes, not verified.
    async fn document(&self, repository: &str, digest: &Digest) -> Result<Document, Error>;

    /// A blob's bytes from `offset` on; not verified.
    async fn blob(&self, repository: &str, digest: &Digest, offset: u64) -> Result<ByteStream, Error>;
}
