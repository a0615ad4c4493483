//! Files that are not whole yet.

use std::fs::File;
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, Mode, OFlags, openat2, renameat, statat, unlinkat};

use super::layout_dir::{LayoutDir, beneath, failed, io};
use crate::release::ReleaseError;

/// Before the name of a file that is not whole yet.
const INCOMING: &str = ".incoming-";
/// A file that is not whole for so long belongs to nobody any more.
const ABANDONED: Duration = Duration::from_secs(24 * 3600);

/// A file that is not whole yet; gone when its value is dropped.
pub(super) struct Incoming {
    dir: LayoutDir,
    name: String,
    file: File,
}

impl Incoming {
    pub(super) fn new(dir: LayoutDir) -> Result<Self, ReleaseError> {
        let name = format!("{INCOMING}{:016x}", rand::random::<u64>());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let fd = openat2(&dir.fd, &name, flags, Mode::from_raw_mode(0o644), beneath());
        let file = File::from(fd.map_err(|e| io(&dir.what, e))?);
        Ok(Self { dir, name, file })
    }

    /// To write to.
    pub(super) fn file(&self) -> Result<File, ReleaseError> {
        self.file.try_clone().map_err(|e| self.failed(&e))
    }

    pub(super) fn failed(&self, error: &std::io::Error) -> ReleaseError {
        failed(&self.dir.what, error)
    }

    /// Gives it its name, once it is on the disk.
    pub(super) fn keep(self, name: &str) -> Result<(), ReleaseError> {
        self.file.sync_all().map_err(|e| self.failed(&e))?;
        let dir = &self.dir;
        renameat(&dir.fd, &self.name, &dir.fd, name).map_err(|e| io(&dir.what, e))?;
        rustix::fs::fsync(&dir.fd).map_err(|e| io(&dir.what, e))
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        // It has another name if all went well.
        let _ = unlinkat(&self.dir.fd, &self.name, AtFlags::empty());
    }
}

/// Removes what a builder left that was killed long ago.
pub(super) fn sweep(dir: &LayoutDir) -> Result<(), ReleaseError> {
    let before = SystemTime::now().checked_sub(ABANDONED).unwrap_or(SystemTime::UNIX_EPOCH);
    let before = before.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let entries = rustix::fs::Dir::read_from(&dir.fd).map_err(|e| io(&dir.what, e))?;
    for entry in entries.filter_map(Result::ok) {
        let name = entry.file_name();
        let changed = || statat(&dir.fd, name, AtFlags::SYMLINK_NOFOLLOW).ok();
        let is_old = || changed().is_some_and(|stat| u64::try_from(stat.st_mtime).is_ok_and(|t| t < before));
        if name.to_bytes().starts_with(INCOMING.as_bytes()) && is_old() {
            // Another builder may sweep too.
            let _ = unlinkat(&dir.fd, name, AtFlags::empty());
        }
    }
    Ok(())
}
