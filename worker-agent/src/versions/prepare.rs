//! The preparation of a version: its image is in the store, its entry script is known.

use std::sync::Arc;

use tokio::sync::OnceCell;
use trackyard_images::{ImageOptions, Images};
use trackyard_protocol::channel::Channel;
use trackyard_protocol::reason::Reason;
use trackyard_protocol::source::{ImageSource, ImageSourceKind};
use trackyard_protocol::version::Digest;
use trackyard_protocol::worker::TrackVersion;

use super::desired::PrepareFailure;
use crate::sandbox::{EntryScript, Host};
use crate::store::{self, PreparedImage, Store};
use crate::trust::ImageSourceRefused;

/// A version that jobs can be run with.
#[derive(Debug, Clone)]
pub struct ReadyVersion {
    /// The image. Its layers stay in the store as long as this value exists.
    pub image: PreparedImage,
    /// The entry script.
    pub entry: EntryScript,
    /// The name of the image: `repository:version`, after the host of a registry.
    pub reference: String,
}

/// Prepares versions, from one image source. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Preparer {
    store: Store,
    host: Host,
    channel: Channel,
    options: ImageOptions,
    source: Result<ImageSource, ImageSourceRefused>,
    images: Arc<OnceCell<Images>>,
}

impl Preparer {
    /// Returns a preparer for the router's image source, if this worker allows it. Does not connect yet.
    #[must_use]
    pub fn new(
        store: Store,
        host: Host,
        channel: Channel,
        options: ImageOptions,
        source: Result<ImageSource, ImageSourceRefused>,
    ) -> Self {
        Self { store, host, channel, options, source, images: Arc::default() }
    }

    /// Returns the image source, or why it is not used.
    pub const fn source(&self) -> &Result<ImageSource, ImageSourceRefused> {
        &self.source
    }

    /// Prepares a version. The source is not asked if the image is complete already.
    ///
    /// # Errors
    /// If the source is not allowed, the image cannot be pulled, or it has no entry script.
    pub async fn prepare(&self, version: &TrackVersion) -> Result<ReadyVersion, PrepareFailure> {
        let source = self.source.as_ref().map_err(|refused| permanent(Reason::PullFailed, refused))?;
        let repository = source.repository(self.channel, &version.track).ok_or_else(|| {
            let message = format!("the router names no repository for the channel {}", self.channel);
            permanent(Reason::PullFailed, &message)
        })?;
        let Some(digest) = &version.version.digest else {
            let message = "the router has not resolved this version to a digest yet".to_owned();
            return Err(PrepareFailure { reason: Reason::PullFailed, message, is_transient: true });
        };
        let image = self.image(source, &repository, digest).await?;
        let entry = self.entry(&image).await?;
        Ok(ReadyVersion { image, entry, reference: reference(source, &repository, version) })
    }

    async fn image(
        &self,
        source: &ImageSource,
        repository: &str,
        digest: &Digest,
    ) -> Result<PreparedImage, PrepareFailure> {
        if let Some(image) = self.store.get(digest) {
            return Ok(image);
        }
        let images = self
            .images
            .get_or_try_init(|| Images::connect(source, &self.options))
            .await
            .map_err(store::StoreError::from);
        match images {
            Ok(images) => self.store.prepare(images, repository, digest).await,
            Err(error) => Err(error),
        }
        .map_err(|error| store_failure(&error))
    }

    async fn entry(&self, image: &PreparedImage) -> Result<EntryScript, PrepareFailure> {
        let host = self.host.clone();
        let layers = image.layers.clone();
        let channel = self.channel;
        let found = tokio::task::spawn_blocking(move || host.find_entry(&layers, channel)).await;
        match found {
            Ok(Ok(Some(entry))) => Ok(entry),
            Ok(Ok(None)) => Err(permanent(Reason::NoEntry, &EntryScript::missing(self.channel))),
            Ok(Err(error)) => {
                tracing::warn!(%error, "cannot look for an image's entry script");
                Err(PrepareFailure {
                    reason: error.reason(),
                    message: error.client_message(),
                    is_transient: true,
                })
            }
            Err(error) => {
                tracing::error!(%error, "the search for an image's entry script panicked");
                Err(PrepareFailure { reason: Reason::Mount, message: String::new(), is_transient: true })
            }
        }
    }
}

fn permanent(reason: Reason, message: &impl ToString) -> PrepareFailure {
    PrepareFailure { reason, message: message.to_string(), is_transient: false }
}

/// Returns the failure for clients. The messages of local failures have paths, which are only for the log.
fn store_failure(error: &store::StoreError) -> PrepareFailure {
    tracing::warn!(%error, "an image is not ready");
    let reason = error.reason();
    let is_public = matches!(error, store::StoreError::Rejected { .. } | store::StoreError::ImageSize { .. })
        || matches!(error, store::StoreError::Pull(pull) if !is_local(pull));
    let message = if is_public { error.to_string() } else { reason.text().to_owned() };
    PrepareFailure { reason, message, is_transient: error.is_transient() }
}

const fn is_local(error: &trackyard_images::ImageError) -> bool {
    matches!(
        error,
        trackyard_images::ImageError::Io { .. } | trackyard_images::ImageError::Configuration { .. }
    )
}

fn reference(source: &ImageSource, repository: &str, version: &TrackVersion) -> String {
    let tag = &version.version.version;
    match source.kind {
        // The path of a layout directory is not for clients.
        ImageSourceKind::Layout => format!("{repository}:{tag}"),
        ImageSourceKind::Registry | ImageSourceKind::Ecr => format!("{}/{repository}:{tag}", source.location),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn local_failure_names_no_path() {
        let error =
            store::StoreError::Io { what: "making /srv/secret".to_owned(), source: io::Error::other("disk") };
        let failure = store_failure(&error);
        assert!(!failure.message.contains("secret"), "{}", failure.message);
        assert_eq!((failure.reason, failure.is_transient), (Reason::HostResources, true));
    }

    #[test]
    fn image_failure_says_what_is_wrong() {
        let not_found = trackyard_images::ImageError::NotFound {
            what: "ruby-test-runner@sha256:1".to_owned(),
            location: "127.0.0.1:5000".to_owned(),
        };
        let failure = store_failure(&not_found.into());
        assert!(failure.message.contains("ruby-test-runner"), "{}", failure.message);
        assert_eq!((failure.reason, failure.is_transient), (Reason::PullFailed, false));
    }
}
