//! The directory of one repository, written so that no reader ever sees half a file and no builder loses another's tag.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, Mode, OFlags, ResolveFlags, flock, mkdirat, openat2};
use rustix::io::Errno;

use super::incoming::{self, Incoming};
use super::index::{self, Change, Entry};
use super::open_dir;
use crate::document::MAX_DOCUMENT;
use crate::release::{Put, ReleaseError, Tag};

const BLOBS: &str = "blobs/sha256";
const MARK: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
/// An open directory.
pub(super) struct LayoutDir {
    pub(super) fd: OwnedFd,
    pub(super) what: String,
    /// How long to wait for another builder, who holds the lock for a few small writes.
    patience: Duration,
}

impl LayoutDir {
    /// Makes what is missing of `location/repository`, beneath the location.
    pub(super) fn open(location: &str, repository: &str, patience: Duration) -> Result<Self, ReleaseError> {
        let root = Self { fd: open_dir(location)?, what: location.to_owned(), patience };
        root.below(repository)
    }

    /// The directory at `path`, made where it is missing; each part from its parent, so that no symlink on the way leads
    /// out.
    fn below(&self, path: &str) -> Result<Self, ReleaseError> {
        let what = format!("{}/{path}", self.what);
        let ends = path.match_indices('/').map(|(end, _)| end).chain([path.len()]);
        for part in ends.filter_map(|end| path.get(..end)) {
            let (parent, name) = part.rsplit_once('/').unwrap_or((".", part));
            let parent = self.dir(parent).map_err(|errno| io(&what, errno))?;
            match mkdirat(parent, name, Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(io(&what, errno)),
            }
        }
        let fd = self.dir(path).map_err(|errno| io(&what, errno))?;
        Ok(Self { fd, what, patience: self.patience })
    }

    fn dir(&self, path: &str) -> rustix::io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        openat2(&self.fd, path, flags, Mode::empty(), beneath())
    }

    /// Makes an empty layout, if there is none, and clears what nobody finished.
    pub(super) fn prepare(&self) -> Result<(), ReleaseError> {
        let _lock = self.lock()?;
        incoming::sweep(&self.below(BLOBS)?)?;
        for (name, content) in [("oci-layout", MARK), ("index.json", &index::empty())] {
            if self.read(name)?.is_none() {
                self.write(name, content)?;
            }
        }
        Ok(())
    }

    /// A new blob.
    pub(super) fn incoming(&self) -> Result<Incoming, ReleaseError> {
        Incoming::new(self.below(BLOBS)?)
    }

    /// Makes the tag name the entry, in one step that no other builder's comes between.
    pub(super) fn put_tag(&self, tag: &Tag, entry: &Entry, manifest: &[u8]) -> Result<Put, ReleaseError> {
        let _lock = self.lock()?;
        let what = format!("{}/index.json", self.what);
        let index = self.read("index.json")?.unwrap_or_else(index::empty);
        match index::with(&index, &what, tag, entry)? {
            Change::None => Ok(Put::Written),
            Change::Taken => Ok(Put::Taken),
            Change::Write(index) => {
                self.below(BLOBS)?.write(entry.digest.hex(), manifest)?;
                self.write("index.json", &index)?;
                Ok(Put::Written)
            }
        }
    }

    /// On the directory itself, so that no lock file stays behind.
    fn lock(&self) -> Result<OwnedFd, ReleaseError> {
        let fd = self.dir(".").map_err(|errno| io(&self.what, errno))?;
        let until = Instant::now() + self.patience;
        loop {
            match flock(&fd, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(fd),
                Err(Errno::WOULDBLOCK) if Instant::now() < until => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(Errno::WOULDBLOCK) => {
                    let what = format!("the lock of image directory {}", self.what);
                    return Err(ReleaseError::Stalled { what, after: self.patience });
                }
                Err(errno) => return Err(io(&self.what, errno)),
            }
        }
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, ReleaseError> {
        let what = format!("{}/{name}", self.what);
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = match openat2(&self.fd, name, flags, Mode::empty(), beneath()) {
            Ok(fd) => File::from(fd),
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(io(&what, errno)),
        };
        let mut bytes = Vec::new();
        file.take(MAX_DOCUMENT + 1).read_to_end(&mut bytes).map_err(|e| failed(&what, &e))?;
        if u64::try_from(bytes.len()).is_ok_and(|size| size <= MAX_DOCUMENT) {
            return Ok(Some(bytes));
        }
        Err(ReleaseError::TooLarge { what, limit: MAX_DOCUMENT })
    }

    /// Aside, synced, and then put in place.
    fn write(&self, name: &str, content: &[u8]) -> Result<(), ReleaseError> {
        let incoming = Incoming::new(self.again()?)?;
        incoming.file()?.write_all(content).map_err(|e| incoming.failed(&e))?;
        incoming.keep(name)
    }

    fn again(&self) -> Result<Self, ReleaseError> {
        let fd = self.fd.try_clone().map_err(|e| failed(&self.what, &e))?;
        Ok(Self { fd, what: self.what.clone(), patience: self.patience })
    }
}

pub(super) fn beneath() -> ResolveFlags {
    ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS
}

pub(super) fn io(what: &str, errno: Errno) -> ReleaseError {
    if errno == Errno::XDEV {
        let (what, detail) = (format!("image directory {what}"), "a symlink leads out of it".to_owned());
        return ReleaseError::Io { what, detail };
    }
    failed(what, &errno.into())
}

pub(super) fn failed(what: &str, error: &std::io::Error) -> ReleaseError {
    ReleaseError::Io { what: format!("image directory {what}"), detail: error.to_string() }
}
