//! One layer from where it lives to a directory aside.

use std::fs::{DirBuilder, File};
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use futures_util::StreamExt;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::{self, Sender};
use trackyard_images::{Blob, Layer};

use super::decode::{self, Message, Unpacked};
use super::dirs;
use super::error::StoreError;
use super::unpack::LayerLimits;

/// Chunks in flight between network and unpacker.
const CHUNKS: usize = 16;

/// A directory aside, removed when dropped unless it was moved away.
#[derive(Debug)]
pub(crate) struct Staged {
    pub(crate) path: PathBuf,
}

impl Drop for Staged {
    fn drop(&mut self) {
        if let Err(error) = dirs::remove(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "a directory aside could not be removed");
        }
    }
}

/// A layer's directory aside, and how its unpacking ended.
pub(crate) struct Transferred {
    pub(crate) staged: Staged,
    pub(crate) unpacked: Unpacked,
}

/// Streams `blob` into the new directory `path`. Dropping the future ends the work, which removes the directory and then
/// gives back its `turn`.
pub(crate) async fn transfer(
    blob: Blob,
    layer: Layer,
    path: PathBuf,
    lowers: Option<Vec<PathBuf>>,
    limits: LayerLimits,
    turn: OwnedSemaphorePermit,
) -> Result<Transferred, StoreError> {
    let (sender, receiver) = mpsc::channel(CHUNKS);
    let work = tokio::task::spawn_blocking(move || {
        let staged = make(path)?;
        let root = open(&staged.path)?;
        let lowers = lowers.map(|paths| paths.iter().map(|path| open(path)).collect()).transpose()?;
        let unpacked = decode::run(receiver, &layer, root, lowers, &limits)?;
        drop(turn);
        Ok(Transferred { staged, unpacked })
    });
    let (result, ()) = tokio::join!(work, feed(blob, sender));
    result.map_err(|error| StoreError::Io { what: "unpacking a layer".to_owned(), source: error.into() })?
}

/// Sends until the end, the first error, or until nobody listens.
async fn feed(mut blob: Blob, sender: Sender<Message>) {
    while let Some(item) = blob.next().await {
        let failed = item.is_err();
        if sender.send(Some(item)).await.is_err() || failed {
            return;
        }
    }
    // Nobody listens any more if the layer was refused meanwhile.
    drop(sender.send(None).await);
}

fn make(path: PathBuf) -> Result<Staged, StoreError> {
    let what = format!("making {}", path.display());
    DirBuilder::new().mode(0o700).create(&path).map_err(StoreError::io(what))?;
    Ok(Staged { path })
}

fn open(path: &Path) -> Result<OwnedFd, StoreError> {
    File::open(path).map(OwnedFd::from).map_err(StoreError::io(format!("opening {}", path.display())))
}
