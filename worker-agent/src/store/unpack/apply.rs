//! Applies entries, one at a time, to the directory being made.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, mkdirat, openat, symlinkat};
use rustix::io::Errno;

use super::archive::{Entry, Kind};
use super::attributes::{Attributes, set_time};
use super::dirs::Dirs;
use super::limits::LayerLimits;
use super::merged::{Lowers, Merged};
use super::name::{clean, split};
use super::rejection::{Rejection, shown};
use super::tree::{Node, failed, look, make_opaque, open_inside, open_plain, put};
use super::whiteout::is_mark;
use super::{UnpackError, UnpackOutcome};

const BUFFER: usize = 128 << 10;

pub(crate) struct Applier<'a> {
    pub(crate) merged: Merged,
    pub(crate) limits: &'a LayerLimits,
    /// What may still be written.
    bytes: u64,
    buffer: Vec<u8>,
    /// Directories' times are set last: every entry made in a directory changes its time.
    dirs: Dirs,
}

impl<'a> Applier<'a> {
    pub(crate) fn new(
        root: OwnedFd,
        lowers: Option<Lowers>,
        limits: &'a LayerLimits,
    ) -> Result<Self, UnpackError> {
        Attributes::default().apply(&root, b"/")?;
        Ok(Self {
            merged: Merged::new(root, lowers, limits),
            limits,
            bytes: limits.bytes,
            buffer: vec![0; BUFFER],
            dirs: Dirs::new(limits),
        })
    }

    /// Applies one entry; `data` gives its content.
    pub(crate) fn apply(&mut self, entry: &Entry, data: &mut impl Read) -> Result<(), UnpackError> {
        let path = clean(&entry.name, self.limits)?;
        let Some((parent, name)) = split(&path) else { return self.root(entry) };
        if parent.iter().any(is_mark) {
            return Err(Rejection::Whiteout(shown(&entry.name)).into());
        }
        if is_mark(name) {
            return self.whiteout(parent, name);
        }
        let attributes = Attributes::from_entry(entry)?;
        match &entry.kind {
            Kind::File => {
                let dir = self.merged.dir(parent)?;
                self.file(&dir, name, &attributes, data)
            }
            Kind::Dir => self.dir(&path, &attributes),
            Kind::Symlink(target) => {
                if target.is_empty() || target.len() > self.limits.path || target.contains(&0) {
                    return Err(Rejection::Path(shown(target), "the target of a symlink").into());
                }
                let dir = self.merged.dir(parent)?;
                self.symlink(&dir, name, OsStr::from_bytes(target), &attributes)
            }
            Kind::Hardlink(target) => self.hardlink(&path, target),
        }
    }

    /// Sets the directories' times.
    pub(crate) fn finish(self) -> Result<UnpackOutcome, UnpackError> {
        // Those made on the way come first: an entry of their own says more.
        for (path, time) in self.merged.made.iter().chain(self.dirs.iter()) {
            match open_inside(self.merged.root(), path) {
                Ok(dir) => set_time(dir, *time, path.as_os_str().as_bytes())?,
                // Replaced by a later entry.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                Err(errno) => return Err(failed("opening a directory", path.as_os_str().as_bytes(), errno)),
            }
        }
        Ok(UnpackOutcome { used_lower: self.merged.used_lower() })
    }

    fn root(&mut self, entry: &Entry) -> Result<(), UnpackError> {
        if entry.kind != Kind::Dir {
            return Err(Rejection::Path(shown(&entry.name), "the root can only be a directory").into());
        }
        let attributes = Attributes::from_entry(entry)?;
        attributes.apply(self.merged.root(), b"/")?;
        Ok(self.dirs.add(PathBuf::new(), attributes.mtime)?)
    }

    pub(crate) fn file(
        &mut self,
        dir: &OwnedFd,
        name: &OsStr,
        attributes: &Attributes,
        data: &mut impl Read,
    ) -> Result<(), UnpackError> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let make = || openat(dir, name, flags, Mode::from_raw_mode(0o600));
        let (file, replaced) = put(dir.as_fd(), name, make)?;
        if replaced {
            self.merged.forget();
        }
        let mut file = std::fs::File::from(file);
        self.copy(data, &mut file)?;
        let file = OwnedFd::from(file);
        attributes.apply(&file, name.as_bytes())?;
        set_time(&file, attributes.mtime, name.as_bytes())
    }

    fn copy(&mut self, data: &mut impl Read, file: &mut std::fs::File) -> Result<(), UnpackError> {
        loop {
            let read = data.read(&mut self.buffer).map_err(|e| Rejection::from_read(&e))?;
            if read == 0 {
                return Ok(());
            }
            let left = u64::try_from(read).ok().and_then(|read| self.bytes.checked_sub(read));
            self.bytes = left.ok_or(Rejection::Size(self.limits.bytes))?;
            file.write_all(self.buffer.get(..read).unwrap_or_default())
                .map_err(|source| UnpackError::Io { what: "writing a file", source })?;
        }
    }

    fn dir(&mut self, path: &Path, attributes: &Attributes) -> Result<(), UnpackError> {
        let Some((parent, name)) = split(path) else { return Ok(()) };
        let dir = self.merged.dir(parent)?;
        let fault = |errno| failed("making a directory", path.as_os_str().as_bytes(), errno);
        let exists = look(&*dir, name).map_err(fault)?.is_some_and(|(node, _)| node == Node::Dir);
        let replaced = if exists {
            false
        } else {
            put(dir.as_fd(), name, || mkdirat(&*dir, name, Mode::from_raw_mode(0o700)))?.1
        };
        let made = open_plain(&*dir, Path::new(name)).map_err(fault)?;
        if replaced {
            self.merged.forget();
            make_opaque(made.as_fd()).map_err(fault)?;
        }
        attributes.apply(&made, path.as_os_str().as_bytes())?;
        Ok(self.dirs.add(path.to_owned(), attributes.mtime)?)
    }

    pub(crate) fn symlink(
        &mut self,
        dir: &OwnedFd,
        name: &OsStr,
        target: &OsStr,
        attributes: &Attributes,
    ) -> Result<(), UnpackError> {
        let ((), replaced) = put(dir.as_fd(), name, || symlinkat(target, dir, name))?;
        if replaced {
            self.merged.forget();
        }
        attributes.apply_symlink(dir, name)
    }
}
