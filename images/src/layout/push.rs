//! Releasing to the layout directory of one machine.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::TryStreamExt;
use tokio::io::AsyncWriteExt;
use trackyard_protocol::version::Digest;

use super::layout_dir::LayoutDir;
use super::{Layout, named};
use crate::blob::{self, Expected};
use crate::error::Error;
use crate::options::Options;
use crate::release::{Built, BuiltBlob, Progress, Put, ReleaseError, Tag, Target, Watch};
use crate::source::Source;

#[async_trait]
impl Target for Layout {
    async fn named(&self, repository: &str, tag: &str) -> Result<Option<Digest>, Error> {
        match self.index(repository).await {
            Ok(index) => Ok(named(&index).find(|(name, _)| *name == tag).map(|(_, digest)| digest.clone())),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn prepare(&self, repository: &str) -> Result<(), ReleaseError> {
        self.in_dir(repository, LayoutDir::prepare).await
    }

    /// Copies, though a hard link would be quicker: whoever still holds the build's directory could change what was
    /// released.
    async fn put_blob(
        &self,
        repository: &str,
        built: &Built,
        blob: &BuiltBlob,
        watch: &Watch,
    ) -> Result<(), ReleaseError> {
        let BuiltBlob { digest, size } = blob.clone();
        if self.holds(repository, blob).await {
            watch.tell(Progress::Present { digest });
            return Ok(());
        }
        let incoming = self.in_dir(repository, LayoutDir::incoming).await?;
        let mut file = tokio::fs::File::from_std(incoming.file()?);
        let mut bytes = built.read(blob);
        while let Some(bytes) = bytes.try_next().await.map_err(ReleaseError::of_layout)? {
            file.write_all(&bytes).await.map_err(|e| incoming.failed(&e))?;
        }
        file.flush().await.map_err(|e| incoming.failed(&e))?;
        let name = digest.hex().to_owned();
        blocking(move || incoming.keep(&name)).await?;
        watch.tell(Progress::Sent { digest, size });
        Ok(())
    }

    async fn put_tag(&self, repository: &str, built: &Built, tag: &Tag) -> Result<Put, ReleaseError> {
        let entry = super::index::Entry {
            media_type: built.media_type.clone(),
            digest: built.digest.clone(),
            size: built.manifest.bytes.len(),
        };
        let (tag, manifest) = (tag.clone(), built.manifest.bytes.clone());
        self.in_dir(repository, move |dir| dir.put_tag(&tag, &entry, &manifest)).await
    }
}

impl Layout {
    /// Whether a blob is there whole: a file alone proves nothing.
    async fn holds(&self, repository: &str, blob: &BuiltBlob) -> bool {
        let expected = Expected { what: "a blob".to_owned(), digest: blob.digest.clone(), size: blob.size };
        let options = Options { attempts: 1, ..Options::default() };
        let layout: Arc<dyn Source> = Arc::new(self.clone());
        blob::stream(layout, repository, expected, &options).try_for_each(|_| async { Ok(()) }).await.is_ok()
    }

    async fn in_dir<T: Send + 'static>(
        &self,
        repository: &str,
        work: impl FnOnce(&LayoutDir) -> Result<T, ReleaseError> + Send + 'static,
    ) -> Result<T, ReleaseError> {
        let (location, repository) = (Arc::clone(&self.location), repository.to_owned());
        let patience = self.patience;
        blocking(move || work(&LayoutDir::open(&location, &repository, patience)?)).await
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ReleaseError> + Send + 'static,
) -> Result<T, ReleaseError> {
    let task = tokio::task::spawn_blocking(work).await;
    task.map_err(|e| ReleaseError::Io { what: "the image directory".to_owned(), detail: e.to_string() })?
}
