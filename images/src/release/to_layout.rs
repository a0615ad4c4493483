//! Releasing to a layout directory.

pub(crate) mod incoming;
pub(crate) mod index;
mod repository_dir;

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::TryStreamExt;
use tokio::io::AsyncWriteExt;
use trackyard_protocol::version::Digest;

use super::{
    BuiltBlob, BuiltImage, PutOutcome, ReleaseControl, ReleaseError, ReleaseProgress, Tag, Target,
    none_if_missing,
};
use crate::blob::{self, Expected};
use crate::error::ImageError;
use crate::options::ImageOptions;
use crate::source::Source;
use crate::source::layout::{Layout, tags};
use repository_dir::RepositoryDir;

#[async_trait]
impl Target for Layout {
    async fn resolve_tag(&self, repository: &str, tag: &str) -> Result<Option<Digest>, ImageError> {
        let index = none_if_missing(self.index(repository).await)?;
        Ok(index
            .and_then(|index| tags(&index).find(|(name, _)| *name == tag).map(|(_, digest)| digest.clone())))
    }

    async fn prepare_repository(&self, repository: &str) -> Result<(), ReleaseError> {
        self.in_dir(repository, RepositoryDir::prepare).await
    }

    /// Copies the blob. A hard link would be faster, but a process that still has the build's directory open could then
    /// change the released image.
    async fn put_blob(
        &self,
        repository: &str,
        built: &BuiltImage,
        blob: &BuiltBlob,
        control: &ReleaseControl,
    ) -> Result<(), ReleaseError> {
        let BuiltBlob { digest, size } = blob.clone();
        if self.has_blob(repository, blob).await {
            control.report(ReleaseProgress::Present { digest });
            return Ok(());
        }
        let incoming = self.in_dir(repository, RepositoryDir::incoming).await?;
        let mut file = tokio::fs::File::from_std(incoming.file()?);
        let mut bytes = built.read(blob);
        while let Some(bytes) = bytes.try_next().await.map_err(ReleaseError::from_layout)? {
            file.write_all(&bytes).await.map_err(|e| incoming.error(&e))?;
        }
        file.flush().await.map_err(|e| incoming.error(&e))?;
        let name = digest.hex().to_owned();
        blocking(move || incoming.persist(&name)).await?;
        control.report(ReleaseProgress::Sent { digest, size });
        Ok(())
    }

    async fn put_tag(
        &self,
        repository: &str,
        built: &BuiltImage,
        tag: &Tag,
    ) -> Result<PutOutcome, ReleaseError> {
        let entry = index::Entry {
            media_type: built.media_type.clone(),
            digest: built.digest.clone(),
            size: built.manifest.bytes.len(),
        };
        let tag = tag.clone();
        let manifest = built.manifest.bytes.clone();
        self.in_dir(repository, move |dir| dir.put_tag(&tag, &entry, &manifest)).await
    }
}

impl Layout {
    /// Whether a blob exists with the right content.
    async fn has_blob(&self, repository: &str, blob: &BuiltBlob) -> bool {
        let expected = Expected { what: "a blob".to_owned(), digest: blob.digest.clone(), size: blob.size };
        let options = ImageOptions { max_attempts: 1, ..ImageOptions::default() };
        let layout: Arc<dyn Source> = Arc::new(self.clone());
        blob::stream(layout, repository, expected, &options).try_for_each(|_| async { Ok(()) }).await.is_ok()
    }

    async fn in_dir<T: Send + 'static>(
        &self,
        repository: &str,
        work: impl FnOnce(&RepositoryDir) -> Result<T, ReleaseError> + Send + 'static,
    ) -> Result<T, ReleaseError> {
        let location = Arc::clone(&self.location);
        let repository = repository.to_owned();
        let lock_timeout = self.lock_timeout;
        blocking(move || work(&RepositoryDir::open(&location, &repository, lock_timeout)?)).await
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ReleaseError> + Send + 'static,
) -> Result<T, ReleaseError> {
    let task = tokio::task::spawn_blocking(work).await;
    task.map_err(|e| ReleaseError::Io { what: "the image directory".to_owned(), detail: e.to_string() })?
}
