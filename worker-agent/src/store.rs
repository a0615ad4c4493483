//! The images that this worker holds. Each layer is unpacked once, into a directory named by the digest of its content,
//! and shared by all images that have it. An incomplete image is never ready: layers are unpacked in a staging
//! directory, synced and then renamed into place, and an image counts once the record of all its layers is written.
//!
//! - `dirs`: the directories, `lock`: one worker per directory, `record`: which images are complete
//! - `prepare`: fetches the missing layers of an image, `flight`: no layer is fetched twice at one time
//! - `transfer`: a layer from its source to the staging directory, `decode`: its bytes, `unpack`: its entries
//! - `lease`, `garbage`: what must stay, and removing the rest

pub(crate) mod decode;
mod dirs;
mod error;
mod flight;
mod garbage;
mod lease;
mod lock;
mod prepare;
mod record;
mod stack;
mod transfer;
pub(crate) mod unpack;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::Semaphore;
use trackyard_protocol::version::Digest;

pub use error::StoreError;
pub use unpack::{LayerLimits, Rejection};

use dirs::Dirs;
use flight::Flights;
use lease::{Lease, Leases};
use lock::Lock;

/// Maximum number of layers that are unpacked at one time, over all images. It bounds the memory.
const MAX_PARALLEL_LAYERS: usize = 2;

/// The images of one work directory. Cheap to clone; the directory is unlocked when the last clone is dropped.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    dirs: Dirs,
    limits: LayerLimits,
    leases: Leases,
    flights: Flights,
    unpacking: Arc<Semaphore>,
    _lock: Lock,
}

/// An image whose layers are all unpacked. They stay as long as this value or a clone of it lives.
#[derive(Debug, Clone)]
pub struct PreparedImage {
    /// The manifest's digest.
    pub digest: Digest,
    /// The layers' directories, from the bottom to the top. No directory is listed twice.
    pub layers: Vec<PathBuf>,
    /// The environment, each entry as `NAME=value`.
    pub env: Vec<String>,
    _lease: Lease,
}

impl Store {
    /// Opens the store in `workdir`, which is made if it does not exist, and removes what a crash left behind.
    ///
    /// # Errors
    /// When another worker holds the directory, or it cannot be used.
    pub fn open(workdir: &Path) -> Result<Self, StoreError> {
        Self::open_with(workdir, LayerLimits::default())
    }

    /// Opens the store as [`Self::open`] does, with other limits on layers.
    ///
    /// # Errors
    /// When another worker holds the directory, or it cannot be used.
    pub fn open_with(workdir: &Path, limits: LayerLimits) -> Result<Self, StoreError> {
        let dirs = Dirs::new(workdir)?;
        let lock = Lock::take(&dirs.lock())?;
        dirs.make()?;
        let inner = Inner {
            dirs,
            limits,
            leases: Leases::default(),
            flights: Flights::default(),
            unpacking: Arc::new(Semaphore::new(MAX_PARALLEL_LAYERS)),
            _lock: lock,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Returns the images that are complete.
    ///
    /// # Errors
    /// When the directory of records cannot be read.
    pub fn complete_images(&self) -> Result<Vec<Digest>, StoreError> {
        let digests = record::digests(&self.inner.dirs)?;
        Ok(digests.into_iter().filter(|digest| record::read(&self.inner.dirs, digest).is_some()).collect())
    }

    /// Returns an image if it is complete. Sends no request.
    #[must_use]
    pub fn get(&self, digest: &Digest) -> Option<PreparedImage> {
        // The lease is taken first: from then on nothing of the image is removed.
        let record_lease = self.inner.leases.take([dirs::image(digest)]);
        let record = record::read(&self.inner.dirs, digest)?;
        let lease = self.inner.leases.take(record.layers.iter().cloned().chain([dirs::image(digest)]));
        drop(record_lease);
        Some(self.prepared(digest, record, lease))
    }

    fn prepared(&self, digest: &Digest, record: record::Record, lease: Lease) -> PreparedImage {
        let layers = record.layers.iter().map(|name| self.inner.dirs.path(name)).collect();
        PreparedImage {
            digest: digest.clone(),
            layers: stack::mountable(layers),
            env: record.env,
            _lease: lease,
        }
    }
}
