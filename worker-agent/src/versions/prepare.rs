//! Makes one version ready: its image in the store, its entry script known.

use std::sync::Arc;

use tokio::sync::OnceCell;
use trackyard_images::{ImageOptions, Images};
use trackyard_protocol::channel::Channel;
use trackyard_protocol::reason::Reason;
use trackyard_protocol::source::{ImageSource, ImageSourceKind};
use trackyard_protocol::version::Digest;
use trackyard_protocol::worker::TrackVersion;

use super::desired::Failure;
use crate::sandbox::{EntryScript, Host};
use crate::store::{self, PreparedImage, Store};
use crate::trust::Refused;

/// A version that jobs can be run with.
#[derive(Debug, Clone)]
pub struct Ready {
    /// Its image; the layers stay as long as this does.
    pub image: PreparedImage,
    /// Its entry script.
    pub entry: EntryScript,
    /// What to call the image: `repository:version`, after a registry's host.
    pub reference: String,
}

/// Makes versions ready, from one image source. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Preparer {
    store: Store,
    host: Host,
    channel: Channel,
    options: ImageOptions,
    source: Result<ImageSource, Refused>,
    images: Arc<OnceCell<Images>>,
}

impl Preparer {
    /// From the source that the router named, if this worker allows it. Asks nobody yet.
    #[must_use]
    pub fn new(
        store: Store,
        host: Host,
        channel: Channel,
        options: ImageOptions,
        source: Result<ImageSource, Refused>,
    ) -> Self {
        Self { store, host, channel, options, source, images: Arc::default() }
    }

    /// The image source, or why it is not used.
    pub const fn source(&self) -> &Result<ImageSource, Refused> {
        &self.source
    }

    /// Makes a version ready. Nobody is asked if its image is complete already.
    ///
    /// # Errors
    /// When the source is not allowed, the image cannot be had, or it has no entry script.
    pub async fn prepare(&self, version: &TrackVersion) -> Result<Ready, Failure> {
        let source = self.source.as_ref().map_err(|refused| definitive(Reason::PullFailed, refused))?;
        let repository = source.repository(self.channel, &version.track).ok_or_else(|| {
            let message = format!("the router names no repository for the channel {}", self.channel);
            definitive(Reason::PullFailed, &message)
        })?;
        let Some(digest) = &version.version.digest else {
            let message = "the router has not resolved this version to a digest yet".to_owned();
            return Err(Failure { reason: Reason::PullFailed, message, is_transient: true });
        };
        let image = self.image(source, &repository, digest).await?;
        let entry = self.entry(&image).await?;
        Ok(Ready { image, entry, reference: reference(source, &repository, version) })
    }

    async fn image(
        &self,
        source: &ImageSource,
        repository: &str,
        digest: &Digest,
    ) -> Result<PreparedImage, Failure> {
        if let Some(image) = self.store.get(digest) {
            return Ok(image);
        }
        let connect = || Images::connect(source, &self.options);
        let images = self.images.get_or_try_init(connect).await.map_err(store::StoreError::from);
        match images {
            Ok(images) => self.store.prepare(images, repository, digest).await,
            Err(error) => Err(error),
        }
        .map_err(|error| from_store(&error))
    }

    async fn entry(&self, image: &PreparedImage) -> Result<EntryScript, Failure> {
        let (host, layers, channel) = (self.host.clone(), image.layers.clone(), self.channel);
        let found = tokio::task::spawn_blocking(move || host.find_entry(&layers, channel)).await;
        match found {
            Ok(Ok(Some(entry))) => Ok(entry),
            Ok(Ok(None)) => Err(definitive(Reason::NoEntry, &EntryScript::missing(self.channel))),
            Ok(Err(error)) => {
                tracing::warn!(%error, "an image cannot be looked into");
                Err(Failure { reason: error.reason(), message: error.client_message(), is_transient: true })
            }
            Err(error) => {
                tracing::error!(%error, "looking into an image failed");
                Err(Failure { reason: Reason::Mount, message: String::new(), is_transient: true })
            }
        }
    }
}

fn definitive(reason: Reason, message: &impl ToString) -> Failure {
    Failure { reason, message: message.to_string(), is_transient: false }
}

/// What a client may read of it: the machine's own failures hold paths, which are for the log.
fn from_store(error: &store::StoreError) -> Failure {
    tracing::warn!(%error, "an image is not ready");
    let reason = error.reason();
    let is_public = matches!(error, store::StoreError::Rejected { .. } | store::StoreError::ImageSize { .. })
        || matches!(error, store::StoreError::Pull(pull) if !is_local(pull));
    let message = if is_public { error.to_string() } else { reason.text().to_owned() };
    Failure { reason, message, is_transient: error.is_transient() }
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
        // A directory of the router's machine is nobody's business.
        ImageSourceKind::Layout => format!("{repository}:{tag}"),
        ImageSourceKind::Registry | ImageSourceKind::Ecr => format!("{}/{repository}:{tag}", source.location),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn a_failure_of_this_machine_names_no_path() {
        let error =
            store::StoreError::Io { what: "making /srv/secret".to_owned(), source: io::Error::other("disk") };
        let failure = from_store(&error);
        assert!(!failure.message.contains("secret"), "{}", failure.message);
        assert_eq!((failure.reason, failure.is_transient), (Reason::HostResources, true));
    }

    #[test]
    fn a_failure_of_the_image_says_what_is_wrong() {
        let not_found = trackyard_images::ImageError::NotFound {
            what: "ruby-test-runner@sha256:1".to_owned(),
            location: "127.0.0.1:5000".to_owned(),
        };
        let failure = from_store(&not_found.into());
        assert!(failure.message.contains("ruby-test-runner"), "{}", failure.message);
        assert_eq!((failure.reason, failure.is_transient), (Reason::PullFailed, false));
    }
}
