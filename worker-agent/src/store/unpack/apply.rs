//! Applies entries, one at a time, to the directory being made.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, mkdirat, openat, symlinkat};
use rustix::io::Errno;

use super::archive::{Entry, EntryKind};
use super::attributes::{Attributes, set_time};
use super::merged::{LowerLayers, MergedTree};
use super::name::{checked_path, split};
use super::rejection::{Rejection, quoted};
use super::tree::{
    DirTimes, Node, create_or_replace, find, make_opaque, open_within, open_without_symlinks,
    operation_failed,
};
use super::whiteout::is_whiteout;
use super::{LayerLimits, UnpackError, UnpackOutcome};

const BUFFER_BYTES: usize = 128 << 10;

/// Applies the entries of one layer.
pub(crate) struct Applier<'a> {
    pub(crate) merged: MergedTree,
    pub(crate) limits: &'a LayerLimits,
    /// Bytes that may still be written.
    bytes_left: u64,
    buffer: Vec<u8>,
    /// The times of directories. They are set last, because every new entry changes its directory's time.
    dir_times: DirTimes,
}

impl<'a> Applier<'a> {
    pub(crate) fn new(
        root: OwnedFd,
        lowers: Option<LowerLayers>,
        limits: &'a LayerLimits,
    ) -> Result<Self, UnpackError> {
        Attributes::default().apply(&root, b"/")?;
        Ok(Self {
            merged: MergedTree::new(root, lowers, limits),
            limits,
            bytes_left: limits.bytes,
            buffer: vec![0; BUFFER_BYTES],
            dir_times: DirTimes::new(limits),
        })
    }

    /// Applies one entry. `data` is its content.
    pub(crate) fn apply(&mut self, entry: &Entry, data: &mut impl Read) -> Result<(), UnpackError> {
        let path = checked_path(&entry.name, self.limits)?;
        let Some((parent, name)) = split(&path) else { return self.root(entry) };
        if parent.iter().any(is_whiteout) {
            return Err(Rejection::Whiteout(quoted(&entry.name)).into());
        }
        if is_whiteout(name) {
            return self.whiteout(parent, name);
        }
        let attributes = Attributes::from_entry(entry)?;
        match &entry.kind {
            EntryKind::File => {
                let dir = self.merged.dir(parent)?;
                self.file(&dir, name, &attributes, data)
            }
            EntryKind::Dir => self.dir(&path, &attributes),
            EntryKind::Symlink(target) => {
                if target.is_empty() || target.len() > self.limits.path || target.contains(&0) {
                    return Err(Rejection::Path(quoted(target), "the target of a symlink").into());
                }
                let dir = self.merged.dir(parent)?;
                self.symlink(&dir, name, OsStr::from_bytes(target), &attributes)
            }
            EntryKind::Hardlink(target) => self.hardlink(&path, target),
        }
    }

    /// Sets the directories' times, and finishes.
    pub(crate) fn finish(self) -> Result<UnpackOutcome, UnpackError> {
        // Parents made for other entries come first: a directory's own entry overrides its time.
        for (path, time) in self.merged.made.iter().chain(self.dir_times.iter()) {
            match open_within(self.merged.root(), path) {
                Ok(dir) => set_time(dir, *time, path.as_os_str().as_bytes())?,
                // A later entry has replaced the directory.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                Err(errno) => {
                    return Err(operation_failed("open a directory", path.as_os_str().as_bytes(), errno));
                }
            }
        }
        Ok(UnpackOutcome { used_lower: self.merged.used_lower() })
    }

    fn root(&mut self, entry: &Entry) -> Result<(), UnpackError> {
        if entry.kind != EntryKind::Dir {
            return Err(Rejection::Path(quoted(&entry.name), "the root can only be a directory").into());
        }
        let attributes = Attributes::from_entry(entry)?;
        attributes.apply(self.merged.root(), b"/")?;
        Ok(self.dir_times.add(PathBuf::new(), attributes.mtime)?)
    }

    pub(crate) fn file(
        &mut self,
        dir: &OwnedFd,
        name: &OsStr,
        attributes: &Attributes,
        data: &mut impl Read,
    ) -> Result<(), UnpackError> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let (file, replaced) =
            create_or_replace(dir.as_fd(), name, || openat(dir, name, flags, Mode::from_raw_mode(0o600)))?;
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
            let left = u64::try_from(read).ok().and_then(|read| self.bytes_left.checked_sub(read));
            self.bytes_left = left.ok_or(Rejection::Size(self.limits.bytes))?;
            file.write_all(self.buffer.get(..read).unwrap_or_default())
                .map_err(|source| UnpackError::Io { what: "write a file", source })?;
        }
    }

    fn dir(&mut self, path: &Path, attributes: &Attributes) -> Result<(), UnpackError> {
        let Some((parent, name)) = split(path) else { return Ok(()) };
        let dir = self.merged.dir(parent)?;
        let failed = |errno| operation_failed("make a directory", path.as_os_str().as_bytes(), errno);
        let exists = find(&*dir, name).map_err(failed)?.is_some_and(|(node, _)| node == Node::Dir);
        let replaced = if exists {
            false
        } else {
            create_or_replace(dir.as_fd(), name, || mkdirat(&*dir, name, Mode::from_raw_mode(0o700)))?.1
        };
        let made = open_without_symlinks(&*dir, Path::new(name)).map_err(failed)?;
        if replaced {
            self.merged.forget();
            make_opaque(made.as_fd()).map_err(failed)?;
        }
        attributes.apply(&made, path.as_os_str().as_bytes())?;
        Ok(self.dir_times.add(path.to_owned(), attributes.mtime)?)
    }

    pub(crate) fn symlink(
        &mut self,
        dir: &OwnedFd,
        name: &OsStr,
        target: &OsStr,
        attributes: &Attributes,
    ) -> Result<(), UnpackError> {
        let ((), replaced) = create_or_replace(dir.as_fd(), name, || symlinkat(target, dir, name))?;
        if replaced {
            self.merged.forget();
        }
        attributes.apply_symlink(dir, name)
    }
}
