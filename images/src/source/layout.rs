//! OCI image layout directories: `<location>/<repository>` holds `index.json` and `blobs/sha256/<hex>`. Every file is
//! opened beneath the location, so that no symlink leads out of it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, open, openat2};
use rustix::io::Errno;
use tokio_util::io::ReaderStream;
use trackyard_protocol::version::Digest;

use crate::document::{Document, Index, MAX_DOCUMENT_BYTES, Parsed};
use crate::error::ImageError;
use crate::options::ImageOptions;
use crate::source::{ByteStream, Source};

pub(crate) const REF_NAME: &str = "org.opencontainers.image.ref.name";
const READ_BUFFER_BYTES: usize = 128 << 10;

/// A directory of layout directories.
#[derive(Clone)]
pub(crate) struct Layout {
    pub(crate) location: Arc<str>,
    resolve: ResolveFlags,
    /// How long a release waits for another one.
    pub(crate) lock_timeout: Duration,
}

impl Layout {
    pub(crate) fn open(location: &str, options: &ImageOptions) -> Result<Self, ImageError> {
        if !location.starts_with('/') {
            return Err(ImageError::configuration(
                format!("image directory {location:?}"),
                "an absolute path",
            ));
        }
        open_dir(location)?;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        Ok(Self { location: location.into(), resolve, lock_timeout: options.stall_timeout })
    }

    /// Opens a directory that untrusted code wrote: no symlink in it is followed.
    pub(crate) fn without_symlinks(location: &str, options: &ImageOptions) -> Result<Self, ImageError> {
        let layout = Self::open(location, options)?;
        Ok(Self { resolve: layout.resolve | ResolveFlags::NO_SYMLINKS, ..layout })
    }

    /// Reads a whole file of at most `limit` bytes.
    pub(crate) async fn read(&self, path: String, limit: u64) -> Result<Bytes, ImageError> {
        self.blocking(path, move |file, what| {
            let mut bytes = Vec::new();
            file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(|e| io(what, &e))?;
            if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > limit {
                return Err(ImageError::TooLarge { what: what.to_owned(), limit });
            }
            Ok(bytes.into())
        })
        .await
    }

    /// Opens `path` and runs `work` on the file, on a blocking thread.
    async fn blocking<T: Send + 'static>(
        &self,
        path: String,
        work: impl FnOnce(File, &str) -> Result<T, ImageError> + Send + 'static,
    ) -> Result<T, ImageError> {
        let location = Arc::clone(&self.location);
        let resolve = self.resolve;
        let task = tokio::task::spawn_blocking(move || {
            let file = open_beneath(&location, &path, resolve)?;
            work(file, &format!("{location}/{path}"))
        });
        task.await.map_err(|e| ImageError::Io { what: "a layout file".to_owned(), detail: e.to_string() })?
    }

    /// Reads the `index.json` of a repository.
    pub(crate) async fn index(&self, repository: &str) -> Result<Index, ImageError> {
        let path = format!("{repository}/index.json");
        let what = format!("{}/{path}", self.location);
        let document = Document { media_type: None, bytes: self.read(path, MAX_DOCUMENT_BYTES).await? };
        match document.parse(&what)? {
            Parsed::Index(index) => Ok(index),
            Parsed::Manifest(_) => Err(ImageError::malformed(what, "it is a manifest, not an index")),
        }
    }
}

#[async_trait]
impl Source for Layout {
    async fn tagged_document(&self, repository: &str, tag: &str) -> Result<Document, ImageError> {
        let what = format!("{repository}:{tag}");
        let index = self.index(repository).await?;
        let mut digests: Vec<_> = tags(&index).filter(|(name, _)| *name == tag).map(|(_, d)| d).collect();
        digests.dedup();
        match digests.as_slice() {
            [] => Err(ImageError::NotFound { what, location: format!("image directory {}", self.location) }),
            [digest] => {
                let document = self.document(repository, digest).await?;
                document.verify(&what, digest)?;
                Ok(document)
            }
            _ => Err(ImageError::malformed(what, "index.json gives this name to more than one image")),
        }
    }

    async fn list(&self, repository: &str) -> Result<BTreeMap<Digest, Vec<String>>, ImageError> {
        let mut all = BTreeMap::<Digest, Vec<String>>::new();
        for (name, digest) in tags(&self.index(repository).await?) {
            all.entry(digest.clone()).or_default().push(name.to_owned());
        }
        Ok(all)
    }

    async fn document(&self, repository: &str, digest: &Digest) -> Result<Document, ImageError> {
        let bytes = self.read(blob_path(repository, digest), MAX_DOCUMENT_BYTES).await?;
        Ok(Document { media_type: None, bytes })
    }

    async fn blob(&self, repository: &str, digest: &Digest, offset: u64) -> Result<ByteStream, ImageError> {
        let path = blob_path(repository, digest);
        let what = format!("{}/{path}", self.location);
        let file = self
            .blocking(path, move |mut file, what| {
                file.seek(SeekFrom::Start(offset)).map_err(|e| io(what, &e))?;
                Ok(file)
            })
            .await?;
        let stream = ReaderStream::with_capacity(tokio::fs::File::from_std(file), READ_BUFFER_BYTES);
        Ok(stream.map_err(move |e| io(&what, &e)).boxed())
    }
}

/// The tags of an index and the digests that they name.
pub(crate) fn tags(index: &Index) -> impl Iterator<Item = (&str, &Digest)> {
    index.manifests.iter().filter_map(|entry| {
        let name = entry.annotations.as_ref()?.get(REF_NAME)?;
        Some((name.as_str(), &entry.digest))
    })
}

fn blob_path(repository: &str, digest: &Digest) -> String {
    format!("{repository}/blobs/sha256/{}", digest.hex())
}

/// Opens the location. This is repeated for every file, because a builder may replace the directory.
pub(crate) fn open_dir(location: &str) -> Result<OwnedFd, ImageError> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    open(location, flags, Mode::empty()).map_err(|errno| ImageError::Io {
        what: format!("image directory {location}"),
        detail: format!("{errno}: create it, or name another"),
    })
}

fn open_beneath(location: &str, path: &str, resolve: ResolveFlags) -> Result<File, ImageError> {
    let dir = open_dir(location)?;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let opened = openat2(dir, path, flags, Mode::empty(), resolve).map_err(|errno| match errno {
        Errno::NOENT | Errno::NOTDIR => {
            ImageError::NotFound { what: path.to_owned(), location: format!("image directory {location}") }
        }
        Errno::XDEV => malformed_file(location, path, "a symlink leads out of the image directory"),
        Errno::LOOP => malformed_file(location, path, "it is a symlink, which is not allowed here"),
        other => ImageError::Io { what: format!("{location}/{path}"), detail: other.to_string() },
    })?;
    let is_file = fstat(&opened).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode).is_file());
    if is_file {
        Ok(File::from(opened))
    } else {
        Err(malformed_file(location, path, "it is not a regular file"))
    }
}

fn malformed_file(location: &str, path: &str, detail: &str) -> ImageError {
    ImageError::malformed(format!("{location}/{path}"), detail)
}

fn io(what: &str, error: &std::io::Error) -> ImageError {
    ImageError::Io { what: what.to_owned(), detail: error.to_string() }
}
