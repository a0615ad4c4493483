//! The contents of the work directory:
//!
//! - `lock`: held by the worker
//! - `layers/<diff id>`: a layer that does not depend on others
//! - `chained/<chain id>`: a layer that is only right on top of the layers below it; the chain id covers their digests
//! - `images/<digest>.json`: the record of a complete image
//! - `staging/`: everything unfinished, wiped at start
//!
//! Only root may enter these directories: layers keep their set-id bits and owners, which must not take effect for the
//! machine's other users. A container needs no access, because it sees layers only through mounts made by root.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use trackyard_protocol::version::Digest;

use super::error::StoreError;

/// Mode of the work directory, if it is made here. Other things may be below it.
const ROOT_MODE: u32 = 0o711;
/// Mode of the directories in it.
const DIR_MODE: u32 = 0o700;
const STAGING: &str = "staging";

/// The work directory. Layers and images are named by their path below it.
#[derive(Debug)]
pub(crate) struct Dirs {
    root: PathBuf,
    staged: AtomicU64,
}

/// Returns the name of a layer that does not depend on others.
pub(crate) fn layer(diff_id: &Digest) -> String {
    format!("layers/{}", diff_id.hex())
}

/// Returns the name of a layer that is only right on top of those below it.
pub(crate) fn chained(chain_id: &Digest) -> String {
    format!("chained/{}", chain_id.hex())
}

/// Returns the name of an image's record.
pub(crate) fn image(digest: &Digest) -> String {
    format!("images/{}.json", digest.hex())
}

impl Dirs {
    /// Makes the work directory itself.
    pub(crate) fn new(workdir: &Path) -> Result<Self, StoreError> {
        let root = std::path::absolute(workdir).map_err(StoreError::io("find the work directory"))?;
        if !root.is_dir() {
            let what = format!("make the work directory {}", root.display());
            DirBuilder::new().recursive(true).mode(ROOT_MODE).create(&root).map_err(StoreError::io(what))?;
        }
        Ok(Self { root, staged: AtomicU64::new(0) })
    }

    /// Makes the missing directories and removes unfinished work.
    pub(crate) fn make(&self) -> Result<(), StoreError> {
        for name in ["layers", "chained", "images", STAGING] {
            let path = self.path(name);
            let result = fs::create_dir(&path).or_else(ignore(io::ErrorKind::AlreadyExists));
            let result = result.and_then(|()| fs::set_permissions(&path, Permissions::from_mode(DIR_MODE)));
            result.map_err(StoreError::io(format!("make {}", path.display())))?;
        }
        for name in self.names(STAGING)? {
            remove(&self.path(STAGING).join(&name)).map_err(StoreError::io(format!("remove {name}")))?;
        }
        Ok(())
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }

    /// Returns the path of a layer, image or directory by its name.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.path(name).is_dir()
    }

    /// Returns a new path in the staging directory.
    pub(crate) fn staging_path(&self) -> PathBuf {
        let number = self.staged.fetch_add(1, Ordering::Relaxed);
        self.root.join(STAGING).join(number.to_string())
    }

    /// Returns the names in a directory.
    pub(crate) fn names(&self, dir: &str) -> Result<Vec<String>, StoreError> {
        let path = self.path(dir);
        let failed = || StoreError::io(format!("read {}", path.display()));
        let names = fs::read_dir(&path).map_err(failed())?;
        names.map(|entry| Ok(entry.map_err(failed())?.file_name().to_string_lossy().into_owned())).collect()
    }

    /// Syncs a directory, so that renames in it survive a crash.
    pub(crate) fn sync(&self, dir: &str) -> Result<(), StoreError> {
        let path = self.path(dir);
        let synced = fs::File::open(&path).and_then(|dir| dir.sync_all());
        synced.map_err(StoreError::io(format!("sync {}", path.display())))
    }
}

/// Removes a file, or a directory with everything in it. A path that does not exist is not an error.
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
