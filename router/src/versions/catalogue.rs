//! Looks up tags in the image source of the configuration in force.

use std::collections::BTreeMap;

use tokio::sync::Mutex;
use trackyard_images::{ImageError, ImageOptions, Images};
use trackyard_protocol::request::Tooling;
use trackyard_protocol::source::ImageSource;
use trackyard_protocol::version::{ContainerVersion, Digest, PinnedVersion};

/// The image source. It is connected on first use, and again when the configuration names another one.
pub struct Catalogue {
    options: ImageOptions,
    connected: Mutex<Option<(ImageSource, Images)>>,
}

impl Catalogue {
    /// A catalogue that is not connected yet.
    #[must_use]
    pub fn new(options: ImageOptions) -> Self {
        Self { options, connected: Mutex::new(None) }
    }

    /// Returns the version with the digest that its tag names now.
    ///
    /// # Errors
    /// If the source cannot be read, or has no such image.
    pub async fn resolve(
        &self,
        source: &ImageSource,
        tooling: &Tooling,
        version: &ContainerVersion,
    ) -> Result<PinnedVersion, ImageError> {
        let repository = repository(source, tooling)?;
        let digest = self.images(source).await?.resolve(&repository, version).await?;
        Ok(PinnedVersion { version: version.clone(), digest: Some(digest) })
    }

    /// Lists all tags of a track's repository, by digest.
    ///
    /// # Errors
    /// If the source cannot be read, or has no such repository.
    pub async fn list(
        &self,
        source: &ImageSource,
        tooling: &Tooling,
    ) -> Result<BTreeMap<Digest, Vec<String>>, ImageError> {
        let repository = repository(source, tooling)?;
        self.images(source).await?.list(&repository).await
    }

    async fn images(&self, source: &ImageSource) -> Result<Images, ImageError> {
        let mut connected = self.connected.lock().await;
        if let Some((known, images)) = &*connected
            && known == source
        {
            return Ok(images.clone());
        }
        let images = Images::connect(source, &self.options).await?;
        *connected = Some((source.clone(), images.clone()));
        Ok(images)
    }
}

fn repository(source: &ImageSource, tooling: &Tooling) -> Result<String, ImageError> {
    source.repository(tooling.channel, &tooling.track).ok_or_else(|| ImageError::Configuration {
        what: format!("images.repositories.{}", tooling.channel),
        detail: "the configuration names no repository for this channel".to_owned(),
    })
}
