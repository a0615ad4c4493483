//! The one door: what a caller asks, whatever kind of place answers.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use trackyard_protocol::source::{ImageSource, ImageSourceKind};
use trackyard_protocol::version::{ContainerVersion, Digest};

use crate::blob::{self, Blob, Expected};
use crate::document::{self, Document, Manifest, Parsed};
use crate::ecr::Ecr;
use crate::error::Error;
use crate::image::{self, Image, Layer};
use crate::layout::Layout;
use crate::options::Options;
use crate::registry::Registry;
use crate::release::{Release, ReleaseError, ReleaseTags, Released, Target, Watch};
use crate::repository;
use crate::source::Source;
use crate::tag;

/// The images of one place. Cheap to clone.
#[derive(Clone)]
pub struct Images {
    source: Arc<dyn Source>,
    target: Arc<dyn Target>,
    location: Arc<str>,
    options: Arc<Options>,
}

impl fmt::Debug for Images {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Images").field("location", &self.location).finish_non_exhaustive()
    }
}

impl Images {
    /// Makes a client for the place that `source` names. Sends nothing yet, but for ECR, which finds its
    /// credentials.
    ///
    /// # Errors
    /// When the location is not valid, or the Docker configuration cannot be read.
    pub async fn connect(source: &ImageSource, options: &Options) -> Result<Self, Error> {
        let location = source.location.as_str();
        let (source, target) = match source.kind {
            ImageSourceKind::Layout => both(Layout::open(location, options)?),
            ImageSourceKind::Registry => both(Registry::connect(location, options)?),
            ImageSourceKind::Ecr => both(Ecr::connect(location, options).await?),
        };
        Ok(Self { source, target, location: location.into(), options: Arc::new(options.clone()) })
    }

    /// The digest of the image manifest that a version names, for Linux on this machine's architecture: what
    /// workers pull.
    ///
    /// # Errors
    /// When the place cannot be read, has no such version, or none for this machine.
    pub async fn resolve(&self, repository: &str, version: &ContainerVersion) -> Result<Digest, Error> {
        repository::check(repository)?;
        let what = format!("{repository}:{version}");
        let document = self.source.tagged(repository, version.as_str()).await?;
        match document.parse(&what)? {
            Parsed::Manifest(_) => Ok(document.digest()),
            Parsed::Index(index) => Ok(index.choose(&what, document::architecture())?.digest.clone()),
        }
    }

    /// All tags, by the digest of what they name: the index, where a tag names one.
    ///
    /// # Errors
    /// When the place cannot be read or has no such repository.
    pub async fn list(&self, repository: &str) -> Result<BTreeMap<Digest, Vec<String>>, Error> {
        repository::check(repository)?;
        let mut all = self.source.list(repository).await?;
        all.values_mut().for_each(|tags| tags.sort());
        Ok(all)
    }

    /// The image of a digest, verified and checked.
    ///
    /// # Errors
    /// When the place cannot be read, has no such image, or the image breaks a rule.
    pub async fn manifest(&self, repository: &str, digest: &Digest) -> Result<Image, Error> {
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

    /// A layer's bytes, verified while they stream. Nothing is asked before the stream is read.
    ///
    /// # Errors
    /// When the repository's name is not valid.
    pub fn blob(&self, repository: &str, layer: &Layer) -> Result<Blob, Error> {
        repository::check(repository)?;
        let what = format!("layer {} of {repository}", layer.digest);
        Ok(self.stream(repository, Expected { what, digest: layer.digest.clone(), size: layer.size }))
    }

    /// What a tag names; nothing if the tag or the repository is not there. One request, however many tags there are.
    ///
    /// # Errors
    /// When the place cannot be read.
    pub async fn built(&self, repository: &str, tag: &str) -> Result<Option<Digest>, Error> {
        repository::check(repository)?;
        if !tag::is_valid(tag) {
            return Err(Error::configuration("image tag", "a-z A-Z 0-9 _ . -, at most 128 characters"));
        }
        self.target.named(repository, tag).await
    }

    /// Releases the one image of the OCI layout directory `from` under all `tags`. Every byte is verified on its way.
    ///
    /// `git-<sha>` and `build-…` are never overwritten. If `git-<sha>` names this image already, the other tags are
    /// still written; if it names another one, nothing is, and the answer is [`Released::Ignored`]. ECR and layout
    /// directories of one machine keep that promise whatever happens at once. A plain registry offers no way to: of two
    /// builders that release different images of one commit at the same moment, each one checks before and after, yet
    /// there remains an instant in which both may believe to have won; the later one then holds the tag.
    ///
    /// # Errors
    /// When the directory is not one whole image, the place refuses or cannot be reached, or `watch` is cancelled. What
    /// was sent until then stays; the same release goes on from there.
    pub async fn release(
        &self,
        repository: &str,
        from: &Path,
        tags: &ReleaseTags,
        watch: &Watch,
    ) -> Result<Released, ReleaseError> {
        repository::check(repository)?;
        let release = Release {
            target: self.target.as_ref(),
            repository,
            place: &self.location,
            options: &self.options,
            watch,
        };
        release.run(from, tags).await
    }

    fn stream(&self, repository: &str, expected: Expected) -> Blob {
        blob::stream(Arc::clone(&self.source), repository, expected, &self.options)
    }
}

fn both<T: Source + Target + 'static>(place: T) -> (Arc<dyn Source>, Arc<dyn Target>) {
    let place = Arc::new(place);
    (Arc::<T>::clone(&place), place)
}

fn verified_manifest(what: &str, document: &Document, digest: &Digest) -> Result<Manifest, Error> {
    document.verify(what, digest)?;
    match document.parse(what)? {
        Parsed::Manifest(manifest) => Ok(manifest),
        Parsed::Index(_) => Err(Error::media_type(what, "an index; give the digest of one platform's image")),
    }
}
