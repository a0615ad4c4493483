//! The images that this worker holds. Each layer is unpacked once, into a directory named by the digest of its content,
//! and shared by every image that has it. Half an image is never ready: layers are unpacked aside, synced and then
//! renamed into place, and an image counts once a record of all its layers is written.
//!
//! - `dirs`: what is where, `lock`: one worker per directory, `record`: which images are complete
//! - `prepare`: what is missing of an image, `flight`: nobody fetches what another is fetching
//! - `transfer`: one layer from its source to a directory aside, `decode`: its bytes, `unpack`: its entries
//! - `lease`, `collect`: what must stay, and removing the rest

mod collect;
pub(crate) mod decode;
mod dirs;
mod error;
mod flight;
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

/// Layers in work at once, over all images: it bounds the memory.
const PARALLEL_LAYERS: usize = 2;

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
    slots: Arc<Semaphore>,
    _lock: Lock,
}

/// An image whose layers are all here. They stay as long as this value or a clone of it lives.
#[derive(Debug, Clone)]
pub struct PreparedImage {
    /// The manifest's digest.
    pub digest: Digest,
    /// The layers' directories, from the bottom to the top; no directory twice.
    pub layers: Vec<PathBuf>,
    /// `NAME=value` each.
    pub env: Vec<String>,
    _lease: Lease,
}

impl Store {
    /// Opens the store in `workdir`, which is made if it is not there, and removes what a crash left behind.
    ///
    /// # Errors
    /// When another worker holds the directory, or it cannot be used.
    pub fn open(workdir: &Path) -> Result<Self, StoreError> {
        Self::open_with(workdir, LayerLimits::default())
    }

    /// As [`Self::open`], with other bounds on layers.
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
            slots: Arc::new(Semaphore::new(PARALLEL_LAYERS)),
            _lock: lock,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The images that are complete.
    ///
    /// # Errors
    /// When the directory of records cannot be read.
    pub fn complete(&self) -> Result<Vec<Digest>, StoreError> {
        let digests = record::digests(&self.inner.dirs)?;
        Ok(digests.into_iter().filter(|digest| record::read(&self.inner.dirs, digest).is_some()).collect())
    }

    /// A complete image; `None` if it is not. Asks nobody else.
    #[must_use]
    pub fn get(&self, digest: &Digest) -> Option<PreparedImage> {
        // The lease comes first: from then on nothing of the image is collected.
        let image = self.inner.leases.take([dirs::image(digest)]);
        let record = record::read(&self.inner.dirs, digest)?;
        let lease = self.inner.leases.take(record.layers.iter().cloned().chain([dirs::image(digest)]));
        drop(image);
        Some(self.prepared(digest, record, lease))
    }

    fn prepared(&self, digest: &Digest, record: record::Record, lease: Lease) -> PreparedImage {
        let layers = record.layers.iter().map(|name| self.inner.dirs.at(name)).collect();
        PreparedImage {
            digest: digest.clone(),
            layers: stack::to_mount(layers),
            env: record.env,
            _lease: lease,
        }
    }
}
