//! What is where in the work directory:
//!
//! - `lock`: held by the worker
//! - `layers/<diff id>`: a layer that stands on its own
//! - `chained/<chain id>`: a layer that is only right on top of the layers below it, whose digests the chain id joins
//! - `images/<digest>.json`: the record of a complete image
//! - `staging/`: all that is not finished, wiped at start
//!
//! The directories are root's alone: layers keep their set-id bits and owners, which must mean nothing to the machine's
//! other users. A container needs no way through, for it sees layers only by mounts that root has made for it.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use trackyard_protocol::version::Digest;

use super::error::StoreError;

/// The work directory's own, if it is made here: other things may be below it.
const ROOT_MODE: u32 = 0o711;
const MODE: u32 = 0o700;
const STAGING: &str = "staging";

/// The parts of the work directory. Layers and images go by their path below it.
#[derive(Debug)]
pub(crate) struct Dirs {
    root: PathBuf,
    staged: AtomicU64,
}

/// A layer that stands on its own.
pub(crate) fn layer(diff_id: &Digest) -> String {
    format!("layers/{}", diff_id.hex())
}

/// A layer that is only right on top of those below it.
pub(crate) fn chained(chain_id: &Digest) -> String {
    format!("chained/{}", chain_id.hex())
}

/// The record of an image.
pub(crate) fn image(digest: &Digest) -> String {
    format!("images/{}.json", digest.hex())
}

impl Dirs {
    /// Makes the work directory itself.
    pub(crate) fn new(workdir: &Path) -> Result<Self, StoreError> {
        let root = std::path::absolute(workdir).map_err(StoreError::io("finding the work directory"))?;
        if !root.is_dir() {
            let what = format!("making the work directory {}", root.display());
            DirBuilder::new().recursive(true).mode(ROOT_MODE).create(&root).map_err(StoreError::io(what))?;
        }
        Ok(Self { root, staged: AtomicU64::new(0) })
    }

    /// Makes what is missing and wipes what was not finished.
    pub(crate) fn make(&self) -> Result<(), StoreError> {
        for name in ["layers", "chained", "images", STAGING] {
            let path = self.at(name);
            let result = fs::create_dir(&path).or_else(ignore(io::ErrorKind::AlreadyExists));
            let result = result.and_then(|()| fs::set_permissions(&path, Permissions::from_mode(MODE)));
            result.map_err(StoreError::io(format!("making {}", path.display())))?;
        }
        for left in self.names(STAGING)? {
            remove(&self.at(STAGING).join(&left)).map_err(StoreError::io(format!("removing {left}")))?;
        }
        Ok(())
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }

    /// The path of a layer, image or directory by its name.
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.at(name).is_dir()
    }

    /// A path in the staging directory that nobody else uses.
    pub(crate) fn stage(&self) -> PathBuf {
        let number = self.staged.fetch_add(1, Ordering::Relaxed);
        self.root.join(STAGING).join(number.to_string())
    }

    /// What a directory holds.
    pub(crate) fn names(&self, dir: &str) -> Result<Vec<String>, StoreError> {
        let path = self.at(dir);
        let fault = || StoreError::io(format!("reading {}", path.display()));
        let names = fs::read_dir(&path).map_err(fault())?;
        names.map(|entry| Ok(entry.map_err(fault())?.file_name().to_string_lossy().into_owned())).collect()
    }

    /// Makes renames in `dir` last.
    pub(crate) fn sync(&self, dir: &str) -> Result<(), StoreError> {
        let path = self.at(dir);
        let synced = fs::File::open(&path).and_then(|dir| dir.sync_all());
        synced.map_err(StoreError::io(format!("syncing {}", path.display())))
    }
}

/// Removes a file or a directory with all that is in it.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::IsADirectory => fs::remove_dir_all(path),
        other => other,
    }
    .or_else(ignore(io::ErrorKind::NotFound))
}

fn ignore(kind: io::ErrorKind) -> impl Fn(io::Error) -> io::Result<()> {
    move |error| if error.kind() == kind { Ok(()) } else { Err(error) }
}
