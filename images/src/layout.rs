//! OCI image layout directories: `<location>/<repository>` holds `index.json` and `blobs/sha256/<hex>`. Everything is
//! opened beneath the location, so that no symlink leads out of it.

mod incoming;
pub(crate) mod index;
mod layout_dir;
mod push;

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

use crate::document::{Document, Index, MAX_DOCUMENT, Parsed};
use crate::error::Error;
use crate::options::Options;
use crate::source::{ByteStream, Source};

const REF_NAME: &str = "org.opencontainers.image.ref.name";
const READ_SIZE: usize = 128 << 10;

/// A directory of layout directories.
#[derive(Clone)]
pub(crate) struct Layout {
    location: Arc<str>,
    resolve: ResolveFlags,
    /// How long a release waits for another one.
    patience: Duration,
}

impl Layout {
    pub(crate) fn open(location: &str, options: &Options) -> Result<Self, Error> {
        if !location.starts_with('/') {
            return Err(Error::configuration(format!("image directory {location:?}"), "an absolute path"));
        }
        open_dir(location)?;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        Ok(Self { location: location.into(), resolve, patience: options.stall })
    }

    /// One that someone not trusted wrote: no symlink in it is followed, wherever it leads.
    pub(crate) fn without_symlinks(location: &str, options: &Options) -> Result<Self, Error> {
        let layout = Self::open(location, options)?;
        Ok(Self { resolve: layout.resolve | ResolveFlags::NO_SYMLINKS, ..layout })
    }

    pub(crate) async fn read(&self, path: String, limit: u64) -> Result<Bytes, Error> {
        self.blocking(path, move |file, what| {
            let mut bytes = Vec::new();
            file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(|e| io(what, &e))?;
            if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > limit {
                return Err(Error::TooLarge { what: what.to_owned(), limit });
            }
            Ok(bytes.into())
        })
        .await
    }

    /// Opens `path` and works on the file, away from the async threads.
    async fn blocking<T: Send + 'static>(
        &self,
        path: String,
        work: impl FnOnce(File, &str) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (location, resolve) = (Arc::clone(&self.location), self.resolve);
        let task = tokio::task::spawn_blocking(move || {
            let file = open_beneath(&location, &path, resolve)?;
            work(file, &format!("{location}/{path}"))
        });
        task.await.map_err(|e| Error::Io { what: "a layout file".to_owned(), detail: e.to_string() })?
    }

    pub(crate) async fn index(&self, repository: &str) -> Result<Index, Error> {
        let path = format!("{repository}/index.json");
        let what = format!("{}/{path}", self.location);
        let document = Document { media_type: None, bytes: self.read(path, MAX_DOCUMENT).await? };
        match document.parse(&what)? {
            Parsed::Index(index) => Ok(index),
            Parsed::Manifest(_) => Err(Error::malformed(what, "it is a manifest, not an index")),
        }
    }
}

#[async_trait]
impl Source for Layout {
    async fn tagged(&self, repository: &str, tag: &str) -> Result<Document, Error> {
        let what = format!("{repository}:{tag}");
        let index = self.index(repository).await?;
        let mut digests: Vec<_> = named(&index).filter(|(name, _)| *name == tag).map(|(_, d)| d).collect();
        digests.dedup();
        match digests.as_slice() {
            [] => Err(Error::NotFound { what, place: format!("image directory {}", self.location) }),
            [digest] => {
                let document = self.document(repository, digest).await?;
                document.verify(&what, digest)?;
                Ok(document)
            }
            _ => Err(Error::malformed(what, "index.json gives this name to more than one image")),
        }
    }

    async fn list(&self, repository: &str) -> Result<BTreeMap<Digest, Vec<String>>, Error> {
        let mut all = BTreeMap::<Digest, Vec<String>>::new();
        for (name, digest) in named(&self.index(repository).await?) {
            all.entry(digest.clone()).or_default().push(name.to_owned());
        }
        Ok(all)
    }

    async fn document(&self, repository: &str, digest: &Digest) -> Result<Document, Error> {
        let bytes = self.read(blob_path(repository, digest), MAX_DOCUMENT).await?;
        Ok(Document { media_type: None, bytes })
    }

    async fn blob(&self, repository: &str, digest: &Digest, offset: u64) -> Result<ByteStream, Error> {
        let path = blob_path(repository, digest);
        let what = format!("{}/{path}", self.location);
        let file = self
            .blocking(path, move |mut file, what| {
                file.seek(SeekFrom::Start(offset)).map_err(|e| io(what, &e))?;
                Ok(file)
            })
            .await?;
        let stream = ReaderStream::with_capacity(tokio::fs::File::from_std(file), READ_SIZE);
        Ok(stream.map_err(move |e| io(&what, &e)).boxed())
    }
}

fn named(index: &Index) -> impl Iterator<Item = (&str, &Digest)> {
    index.manifests.iter().filter_map(|entry| {
        let name = entry.annotations.as_ref()?.get(REF_NAME)?;
        Some((name.as_str(), &entry.digest))
    })
}

fn blob_path(repository: &str, digest: &Digest) -> String {
    format!("{repository}/blobs/sha256/{}", digest.hex())
}

/// Opened anew for every file, because whoever builds images may replace the directory.
fn open_dir(location: &str) -> Result<OwnedFd, Error> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    open(location, flags, Mode::empty()).map_err(|errno| Error::Io {
        what: format!("image directory {location}"),
        detail: format!("{errno}: create it, or name another"),
    })
}

fn open_beneath(location: &str, path: &str, resolve: ResolveFlags) -> Result<File, Error> {
    let dir = open_dir(location)?;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let opened = openat2(dir, path, flags, Mode::empty(), resolve).map_err(|errno| match errno {
        Errno::NOENT | Errno::NOTDIR => {
            Error::NotFound { what: path.to_owned(), place: format!("image directory {location}") }
        }
        Errno::XDEV => malformed_file(location, path, "a symlink leads out of the image directory"),
        Errno::LOOP => malformed_file(location, path, "a symlink, where none may be"),
        other => Error::Io { what: format!("{location}/{path}"), detail: other.to_string() },
    })?;
    let is_file = fstat(&opened).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode).is_file());
    if is_file { Ok(File::from(opened)) } else { Err(malformed_file(location, path, "not a regular file")) }
}

fn malformed_file(location: &str, path: &str, detail: &str) -> Error {
    Error::malformed(format!("{location}/{path}"), detail)
}

fn io(what: &str, error: &std::io::Error) -> Error {
    Error::Io { what: what.to_owned(), detail: error.to_string() }
}
