//! Files that are still being written.

use std::fs::File;
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, Mode, OFlags, openat2, renameat, statat, unlinkat};

use super::repository_dir::{RepositoryDir, beneath, errno_error, io_error};
use crate::release::ReleaseError;

/// Prefix of the temporary names.
const PREFIX: &str = ".incoming-";
/// Age at which a temporary file is considered abandoned.
const ABANDONED_AFTER: Duration = Duration::from_secs(24 * 3600);

/// A file under a temporary name. Dropping it removes the file.
pub(super) struct IncomingFile {
    dir: RepositoryDir,
    name: String,
    file: File,
}

impl IncomingFile {
    pub(super) fn new(dir: RepositoryDir) -> Result<Self, ReleaseError> {
        let name = format!("{PREFIX}{:016x}", rand::random::<u64>());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let fd = openat2(&dir.fd, &name, flags, Mode::from_raw_mode(0o644), beneath());
        let file = File::from(fd.map_err(|e| errno_error(&dir.what, e))?);
        Ok(Self { dir, name, file })
    }

    /// Returns a handle to write to.
    pub(super) fn file(&self) -> Result<File, ReleaseError> {
        self.file.try_clone().map_err(|e| self.error(&e))
    }

    pub(super) fn error(&self, error: &std::io::Error) -> ReleaseError {
        io_error(&self.dir.what, error)
    }

    /// Syncs the file and gives it its final name.
    pub(super) fn persist(self, name: &str) -> Result<(), ReleaseError> {
        self.file.sync_all().map_err(|e| self.error(&e))?;
        let dir = &self.dir;
        renameat(&dir.fd, &self.name, &dir.fd, name).map_err(|e| errno_error(&dir.what, e))?;
        rustix::fs::fsync(&dir.fd).map_err(|e| errno_error(&dir.what, e))
    }
}

impl Drop for IncomingFile {
    fn drop(&mut self) {
        // This fails, as it should, once the file has its final name.
        let _ = unlinkat(&self.dir.fd, &self.name, AtFlags::empty());
    }
}

/// Removes the files of builders that were killed long ago.
pub(super) fn remove_abandoned(dir: &RepositoryDir) -> Result<(), ReleaseError> {
    let before = SystemTime::now().checked_sub(ABANDONED_AFTER).unwrap_or(SystemTime::UNIX_EPOCH);
    let before = before.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let entries = rustix::fs::Dir::read_from(&dir.fd).map_err(|e| errno_error(&dir.what, e))?;
    for entry in entries.filter_map(Result::ok) {
        let name = entry.file_name();
        if name.to_bytes().starts_with(PREFIX.as_bytes())
            && let Ok(stat) = statat(&dir.fd, name, AtFlags::SYMLINK_NOFOLLOW)
            && u64::try_from(stat.st_mtime).is_ok_and(|modified| modified < before)
        {
            // Another builder may have removed it at the same time.
            let _ = unlinkat(&dir.fd, name, AtFlags::empty());
        }
    }
    Ok(())
}
