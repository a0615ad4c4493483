//! Transfers one layer from its source to the staging directory.

use std::fs::{DirBuilder, File};
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use futures_util::StreamExt;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::{self, Sender};
use trackyard_images::{Blob, Layer};

use super::decode::{self, TransferItem, Unpacked};
use super::dirs;
use super::error::StoreError;
use super::unpack::LayerLimits;

/// Maximum number of chunks in flight between network and unpacker.
const MAX_CHUNKS: usize = 16;

/// A directory in staging. It is removed when dropped, unless it was moved away.
#[derive(Debug)]
pub(crate) struct Staged {
    pub(crate) path: PathBuf,
}

impl Drop for Staged {
    fn drop(&mut self) {
        if let Err(error) = dirs::remove(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "a staging directory could not be removed");
        }
    }
}

/// A layer's staging directory, and how its unpacking ended.
pub(crate) struct Transferred {
    pub(crate) staged: Staged,
    pub(crate) unpacked: Unpacked,
}

/// Unpacks `blob` into the new directory `path` while it arrives. Dropping the future ends the work, which removes the
/// directory and then releases `permit`.
pub(crate) async fn transfer(
    blob: Blob,
    layer: Layer,
    path: PathBuf,
    lowers: Option<Vec<PathBuf>>,
    limits: LayerLimits,
    permit: OwnedSemaphorePermit,
) -> Result<Transferred, StoreError> {
    let (sender, receiver) = mpsc::channel(MAX_CHUNKS);
    let work = tokio::task::spawn_blocking(move || {
        let staged = make(path)?;
        let root = open(&staged.path)?;
        let lowers = lowers.map(|paths| paths.iter().map(|path| open(path)).collect()).transpose()?;
        let unpacked = decode::unpack_transfer(receiver, &layer, root, lowers, &limits)?;
        drop(permit);
        Ok(Transferred { staged, unpacked })
    });
    let (result, ()) = tokio::join!(work, feed(blob, sender));
    result.map_err(|error| StoreError::Io { what: "unpack a layer".to_owned(), source: error.into() })?
}

/// Sends the blob until its end, its first error, or until the receiver is gone.
async fn feed(mut blob: Blob, sender: Sender<TransferItem>) {
    while let Some(item) = blob.next().await {
        let failed = item.is_err();
        if sender.send(Some(item)).await.is_err() || failed {
            return;
        }
    }
    // The receiver is gone if the layer was refused meanwhile.
    drop(sender.send(None).await);
}

fn make(path: PathBuf) -> Result<Staged, StoreError> {
    let what = format!("make {}", path.display());
    DirBuilder::new().mode(0o700).create(&path).map_err(StoreError::io(what))?;
    Ok(Staged { path })
}

fn open(path: &Path) -> Result<OwnedFd, StoreError> {
    File::open(path).map(OwnedFd::from).map_err(StoreError::io(format!("open {}", path.display())))
}
