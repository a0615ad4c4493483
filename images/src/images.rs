//! The public client: the same operations for every kind of image source.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use trackyard_protocol::source::{ImageSource, ImageSourceKind};
use trackyard_protocol::version::{ContainerVersion, Digest};

use crate::blob::{self, Blob, Expected};
use crate::document::{self, Document, Manifest, Parsed};
use crate::error::ImageError;
use crate::image::{self, Image, Layer};
use crate::options::ImageOptions;
use crate::release::{Release, ReleaseControl, ReleaseError, ReleaseOutcome, ReleaseTags, Target};
use crate::repository;
use crate::source::Source;
use crate::source::ecr::Ecr;
use crate::source::layout::Layout;
use crate::source::registry::Registry;
use crate::tag;

/// A client for one image source. Cheap to clone.
#[derive(Clone)]
pub struct Images {
    source: Arc<dyn Source>,
    target: Arc<dyn Target>,
    location: Arc<str>,
    options: Arc<ImageOptions>,
}

impl fmt::Debug for Images {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Images").field("location", &self.location).finish_non_exhaustive()
    }
}

impl Images {
    /// Makes a client for `source`. Sends nothing yet, except that ECR looks up its credentials.
    ///
    /// # Errors
    /// If the location is not valid, or the Docker configuration cannot be read.
    pub async fn connect(source: &ImageSource, options: &ImageOptions) -> Result<Self, ImageError> {
        let location = source.location.as_str();
        let (source, target) = match source.kind {
            ImageSourceKind::Layout => both(Layout::open(location, options)?),
            ImageSourceKind::Registry => both(Registry::connect(location, options)?),
            ImageSourceKind::Ecr => both(Ecr::connect(location, options).await?),
        };
        Ok(Self { source, target, location: location.into(), options: Arc::new(options.clone()) })
    }

    /// Returns the digest of a version's image manifest for Linux on this machine's architecture. Workers pull by it.
    ///
    /// # Errors
    /// If the source cannot be read, or does not have the version for this platform.
    pub async fn resolve(&self, repository: &str, version: &ContainerVersion) -> Result<Digest, ImageError> {
        repository::check(repository)?;
        let what = format!("{repository}:{version}");
        let document = self.source.tagged_document(repository, version.as_str()).await?;
        match document.parse(&what)? {
            Parsed::Manifest(_) => Ok(document.digest()),
            Parsed::Index(index) => Ok(index.for_platform(&what, document::architecture())?.digest.clone()),
        }
    }

    /// Returns all tags, by the digest of the manifest or index that they name.
    ///
    /// # Errors
    /// If the source cannot be read or does not have the repository.
    pub async fn list(&self, repository: &str) -> Result<BTreeMap<Digest, Vec<String>>, ImageError> {
        repository::check(repository)?;
        let mut all = self.source.list(repository).await?;
        all.values_mut().for_each(|tags| tags.sort());
        Ok(all)
    }

    /// Returns the image with a digest, verified and checked.
    ///
    /// # Errors
    /// If the source cannot be read or does not have the image, or the image violates a rule.
    pub async fn manifest(&self, repository: &str, digest: &Digest) -> Result<Image, ImageError> {
        repository::check(repository)?;
        let what = format!("{repository}@{digest}");
        let document = self.source.document(repository, digest).await?;
        let manifest = verified_manifest(&what, &document, digest)?;
        image::check_manifest(&what, &manifest)?;
        let expected = Expected {
            what: format!("the configuration of {what}"),
            digest: manifest.config.digest.clone(),
            size: manifest.config.size,
        };
        let config = blob::collect(self.stream(repository, expected)).await?;
        image::assemble(&what, digest.clone(), &manifest, &config, document::architecture())
    }

    /// Streams a layer and verifies it on the way. Sends no request before the stream is polled.
    ///
    /// # Errors
    /// If the repository's name is not valid.
    pub fn blob(&self, repository: &str, layer: &Layer) -> Result<Blob, ImageError> {
        repository::check(repository)?;
        let what = format!("layer {} of {repository}", layer.digest);
        Ok(self.stream(repository, Expected { what, digest: layer.digest.clone(), size: layer.size }))
    }

    /// Returns the digest that a tag names, if the tag and its repository exist. Takes one request.
    ///
    /// # Errors
    /// If the source cannot be read.
    pub async fn resolve_tag(&self, repository: &str, tag: &str) -> Result<Option<Digest>, ImageError> {
        repository::check(repository)?;
        if !tag::is_valid(tag) {
            return Err(ImageError::configuration("image tag", "a-z A-Z 0-9 _ . -, at most 128 characters"));
        }
        self.target.resolve_tag(repository, tag).await
    }

    /// Releases the one image of the OCI layout directory `from` under all `tags`. Every byte is verified on the way.
    ///
    /// `git-<sha>` and `build-…` are never overwritten. If `git-<sha>` names this image already, the other tags are
    /// still written; if it names another image, no tag is, and the outcome is [`ReleaseOutcome::Ignored`]. ECR and layout
    /// directories guarantee this against concurrent releases. A plain registry cannot: if two builders release different
    /// images of one commit at the same moment, each checks before and after it writes, but both may conclude that they
    /// won; the tag then names the image that was written last.
    ///
    /// # Errors
    /// If the directory is not one whole image, the target refuses or cannot be reached, or `control` is cancelled. Blobs
    /// sent until then stay; the same release resumes from there.
    pub async fn release(
        &self,
        repository: &str,
        from: &Path,
        tags: &ReleaseTags,
        control: &ReleaseControl,
    ) -> Result<ReleaseOutcome, ReleaseError> {
        repository::check(repository)?;
        let release = Release {
            target: self.target.as_ref(),
            repository,
            location: &self.location,
            options: &self.options,
            control,
        };
        release.run(from, tags).await
    }

    fn stream(&self, repository: &str, expected: Expected) -> Blob {
        blob::stream(Arc::clone(&self.source), repository, expected, &self.options)
    }
}

fn both<T: Source + Target + 'static>(client: T) -> (Arc<dyn Source>, Arc<dyn Target>) {
    let client = Arc::new(client);
    (Arc::<T>::clone(&client), client)
}

fn verified_manifest(what: &str, document: &Document, digest: &Digest) -> Result<Manifest, ImageError> {
    document.verify(what, digest)?;
    match document.parse(what)? {
        Parsed::Manifest(manifest) => Ok(manifest),
        Parsed::Index(_) => {
            Err(ImageError::media_type(what, "an index; give the digest of one platform's image"))
        }
    }
}
