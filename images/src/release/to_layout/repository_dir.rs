//! The directory of one repository. Writes are atomic: no reader sees half a file, and no builder loses another's tag.

use std::fs::{File, TryLockError};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags, ResolveFlags, mkdirat, openat2};
use rustix::io::Errno;

use super::incoming::{self, IncomingFile};
use super::index::{self, Entry, IndexChange};
use crate::document::MAX_DOCUMENT_BYTES;
use crate::release::{PutOutcome, ReleaseError, Tag};
use crate::source::layout::open_dir;

const BLOBS: &str = "blobs/sha256";
const LAYOUT_FILE: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
/// Interval between two attempts to lock the directory.
const LOCK_INTERVAL: Duration = Duration::from_millis(5);

/// An open directory.
pub(super) struct RepositoryDir {
    pub(super) fd: OwnedFd,
    pub(super) what: String,
    /// How long to wait for another builder, which holds the lock during a few small writes.
    lock_timeout: Duration,
}

impl RepositoryDir {
    /// Opens `location/repository`, and creates missing directories beneath the location.
    pub(super) fn open(
        location: &str,
        repository: &str,
        lock_timeout: Duration,
    ) -> Result<Self, ReleaseError> {
        let root = Self { fd: open_dir(location)?, what: location.to_owned(), lock_timeout };
        root.create_below(repository)
    }

    /// Opens the directory at `path`, and creates missing parts. Each part is opened from its parent, so that no symlink
    /// on the way leads out.
    fn create_below(&self, path: &str) -> Result<Self, ReleaseError> {
        let what = format!("{}/{path}", self.what);
        let ends = path.match_indices('/').map(|(end, _)| end).chain([path.len()]);
        for part in ends.filter_map(|end| path.get(..end)) {
            let (parent, name) = part.rsplit_once('/').unwrap_or((".", part));
            let parent = self.open_dir(parent).map_err(|errno| errno_error(&what, errno))?;
            match mkdirat(parent, name, Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno_error(&what, errno)),
            }
        }
        let fd = self.open_dir(path).map_err(|errno| errno_error(&what, errno))?;
        Ok(Self { fd, what, lock_timeout: self.lock_timeout })
    }

    fn open_dir(&self, path: &str) -> rustix::io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        openat2(&self.fd, path, flags, Mode::empty(), beneath())
    }

    /// Creates an empty layout if there is none, and removes abandoned files.
    pub(super) fn prepare(&self) -> Result<(), ReleaseError> {
        let _lock = self.lock()?;
        incoming::remove_abandoned(&self.create_below(BLOBS)?)?;
        for (name, content) in [("oci-layout", LAYOUT_FILE), ("index.json", &index::empty())] {
            if self.read(name)?.is_none() {
                self.write(name, content)?;
            }
        }
        Ok(())
    }

    /// Creates a temporary file for a blob.
    pub(super) fn incoming(&self) -> Result<IncomingFile, ReleaseError> {
        IncomingFile::new(self.create_below(BLOBS)?)
    }

    /// Makes the tag name the entry, under the lock.
    pub(super) fn put_tag(
        &self,
        tag: &Tag,
        entry: &Entry,
        manifest: &[u8],
    ) -> Result<PutOutcome, ReleaseError> {
        let _lock = self.lock()?;
        let what = format!("{}/index.json", self.what);
        let index = self.read("index.json")?.unwrap_or_else(index::empty);
        match index::with_tag(&index, &what, tag, entry)? {
            IndexChange::Unchanged => Ok(PutOutcome::Written),
            IndexChange::Occupied => Ok(PutOutcome::Occupied),
            IndexChange::Write(index) => {
                self.create_below(BLOBS)?.write(entry.digest.hex(), manifest)?;
                self.write("index.json", &index)?;
                Ok(PutOutcome::Written)
            }
        }
    }

    /// Locks the directory itself, so that no lock file is left behind.
    fn lock(&self) -> Result<File, ReleaseError> {
        let dir = File::from(self.open_dir(".").map_err(|errno| errno_error(&self.what, errno))?);
        let deadline = Instant::now() + self.lock_timeout;
        loop {
            match dir.try_lock() {
                Ok(()) => return Ok(dir),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    std::thread::sleep(LOCK_INTERVAL);
                }
                Err(TryLockError::WouldBlock) => {
                    let what = format!("the lock of image directory {}", self.what);
                    return Err(ReleaseError::Stalled { what, after: self.lock_timeout });
                }
                Err(TryLockError::Error(error)) => return Err(io_error(&self.what, &error)),
            }
        }
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, ReleaseError> {
        let what = format!("{}/{name}", self.what);
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = match openat2(&self.fd, name, flags, Mode::empty(), beneath()) {
            Ok(fd) => File::from(fd),
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(errno_error(&what, errno)),
        };
        let mut bytes = Vec::new();
        file.take(MAX_DOCUMENT_BYTES + 1).read_to_end(&mut bytes).map_err(|e| io_error(&what, &e))?;
        if u64::try_from(bytes.len()).is_ok_and(|size| size <= MAX_DOCUMENT_BYTES) {
            return Ok(Some(bytes));
        }
        Err(ReleaseError::TooLarge { what, limit: MAX_DOCUMENT_BYTES })
    }

    /// Writes and syncs a temporary file, then renames it.
    fn write(&self, name: &str, content: &[u8]) -> Result<(), ReleaseError> {
        let incoming = IncomingFile::new(self.try_clone()?)?;
        incoming.file()?.write_all(content).map_err(|e| incoming.error(&e))?;
        incoming.persist(name)
    }

    fn try_clone(&self) -> Result<Self, ReleaseError> {
        let fd = self.fd.try_clone().map_err(|e| io_error(&self.what, &e))?;
        Ok(Self { fd, what: self.what.clone(), lock_timeout: self.lock_timeout })
    }
}

pub(super) fn beneath() -> ResolveFlags {
    ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS
}

pub(super) fn errno_error(what: &str, errno: Errno) -> ReleaseError {
    if errno == Errno::XDEV {
        let what = format!("image directory {what}");
        let detail = "a symlink leads out of it".to_owned();
        return ReleaseError::Io { what, detail };
    }
    io_error(what, &errno.into())
}

pub(super) fn io_error(what: &str, error: &std::io::Error) -> ReleaseError {
    ReleaseError::Io { what: format!("image directory {what}"), detail: error.to_string() }
}
