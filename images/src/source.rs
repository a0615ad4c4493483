//! Pulling: what each kind of image source can do. The caller checks every answer.

pub(crate) mod ecr;
pub(crate) mod layout;
pub(crate) mod registry;

use std::collections::BTreeMap;
use std::pin::Pin;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::Stream;
use trackyard_protocol::version::Digest;

use crate::document::Document;
use crate::error::ImageError;

/// Bytes as they arrive.
pub(crate) type ByteStream = Pin<Box<dyn Stream<Item = Result<Bytes, ImageError>> + Send>>;

/// A source of images. `repository` is a checked name.
#[async_trait]
pub(crate) trait Source: Send + Sync {
    /// Returns the manifest or index that a tag names.
    async fn tagged_document(&self, repository: &str, tag: &str) -> Result<Document, ImageError>;

    /// Returns all tags, by the digest of the manifest or index that they name.
    async fn list(&self, repository: &str) -> Result<BTreeMap<Digest, Vec<String>>, ImageError>;

    /// Returns the manifest or index with a digest: at most [`crate::document::MAX_DOCUMENT_BYTES`] bytes, not verified.
    async fn document(&self, repository: &str, digest: &Digest) -> Result<Document, ImageError>;

    /// Streams a blob from `offset` on, not verified.
    async fn blob(&self, repository: &str, digest: &Digest, offset: u64) -> Result<ByteStream, ImageError>;
}
