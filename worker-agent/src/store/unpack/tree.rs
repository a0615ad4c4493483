//! Operations on directories by descriptor. None follows a symlink in the last component.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Stat, XattrFlags, fgetxattr, fsetxattr, mknodat,
    openat2, statat, unlinkat,
};
use rustix::io::Errno;

use super::rejection::{Rejection, quoted};
use super::{LayerLimits, UnpackError};

const OPAQUE_XATTR: &str = "trusted.overlay.opaque";
const DIR_FLAGS: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// The kind of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Node {
    Dir,
    Symlink,
    File,
    /// Overlayfs's mark for a removed node: a character device 0/0. No other device is ever made here.
    Whiteout,
    Other,
}

impl Node {
    fn of(stat: &Stat) -> Self {
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => Self::Dir,
            FileType::Symlink => Self::Symlink,
            FileType::RegularFile => Self::File,
            FileType::CharacterDevice if stat.st_rdev == 0 => Self::Whiteout,
            _ => Self::Other,
        }
    }
}

/// Opens a directory below `root`. Symlinks are followed, but stay inside `root`.
pub(crate) fn open_within(root: impl AsFd, path: &Path) -> Result<OwnedFd, Errno> {
    open(root, path, ResolveFlags::IN_ROOT)
}

/// Opens a directory below `root`. A symlink anywhere in the path is an error.
pub(crate) fn open_without_symlinks(root: impl AsFd, path: &Path) -> Result<OwnedFd, Errno> {
    open(root, path, ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS)
}

fn open(root: impl AsFd, path: &Path, resolve: ResolveFlags) -> Result<OwnedFd, Errno> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    openat2(root, path, DIR_FLAGS, Mode::empty(), resolve | ResolveFlags::NO_MAGICLINKS)
}

/// Finds `name` in `dir`. Returns `None` if it does not exist.
pub(crate) fn find(dir: impl AsFd, name: &OsStr) -> Result<Option<(Node, Stat)>, Errno> {
    match statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some((Node::of(&stat), stat))),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Removes `name` with everything in it.
pub(crate) fn remove(dir: BorrowedFd<'_>, name: &OsStr) -> io::Result<()> {
    match unlinkat(dir, name, AtFlags::empty()) {
        // No other process works in this directory, so the path through its descriptor is safe.
        Err(Errno::ISDIR) => {
            let path = Path::new("/proc/self/fd").join(dir.as_raw_fd().to_string()).join(name);
            std::fs::remove_dir_all(path)
        }
        other => Ok(other?),
    }
}

/// Marks `name` of the layers below as removed.
pub(crate) fn make_whiteout(dir: impl AsFd, name: &OsStr) -> Result<(), Errno> {
    mknodat(dir, name, FileType::CharacterDevice, Mode::empty(), 0)
}

/// Makes a directory opaque: it hides what the layers below have in it. Whiteouts in it are removed, because they have
/// no effect any more and the kernel would list them. Nothing is done if the directory is opaque already: it has no
/// whiteouts then, and a layer may ask for this with each of its entries.
pub(crate) fn make_opaque(dir: BorrowedFd<'_>) -> Result<(), Errno> {
    if is_opaque(dir)? {
        return Ok(());
    }
    fsetxattr(dir, OPAQUE_XATTR, b"y", XattrFlags::empty())?;
    for entry in Dir::read_from(dir)? {
        let name = OsStr::from_bytes(entry?.file_name().to_bytes()).to_owned();
        if find(dir, &name)?.is_some_and(|(node, _)| node == Node::Whiteout) {
            unlinkat(dir, &name, AtFlags::empty())?;
        }
    }
    Ok(())
}

/// Returns true if the directory hides what the layers below have in it.
pub(crate) fn is_opaque(dir: impl AsFd) -> Result<bool, Errno> {
    let mut value = [0_u8; 8];
    match fgetxattr(dir, OPAQUE_XATTR, &mut value) {
        Ok(length) => Ok(value.get(..length) == Some(b"y")),
        Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::RANGE) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Creates `name` with `make`, which must fail if `name` exists: an existing node is removed first, and never written
/// through. Returns true as the second value if a node was replaced.
pub(crate) fn create_or_replace<T>(
    dir: BorrowedFd<'_>,
    name: &OsStr,
    make: impl Fn() -> Result<T, Errno>,
) -> Result<(T, bool), UnpackError> {
    let failed = |errno| operation_failed("make a file", name.as_bytes(), errno);
    match make() {
        Ok(made) => Ok((made, false)),
        Err(Errno::EXIST) => {
            remove(dir, name).map_err(|source| UnpackError::Io { what: "replace a file", source })?;
            Ok((make().map_err(failed)?, true))
        }
        Err(errno) => Err(failed(errno)),
    }
}

/// Converts the error of an operation on `name` into the layer's fault or the machine's.
pub(crate) fn operation_failed(what: &'static str, name: &[u8], errno: Errno) -> UnpackError {
    match errno {
        Errno::NAMETOOLONG
        | Errno::LOOP
        | Errno::NOTDIR
        | Errno::ISDIR
        | Errno::MLINK
        | Errno::EXIST
        | Errno::NOENT
        | Errno::INVAL
        | Errno::ILSEQ => Rejection::Unplaceable(quoted(name), errno.to_string()).into(),
        errno => UnpackError::Io { what, source: errno.into() },
    }
}

/// The times that directories get at the end. The memory that they take is limited.
pub(crate) struct DirTimes {
    times: Vec<(PathBuf, (i64, u32))>,
    bytes: usize,
    limit: usize,
}

impl DirTimes {
    pub(crate) const fn new(limits: &LayerLimits) -> Self {
        Self { times: Vec::new(), bytes: 0, limit: limits.directory_names }
    }

    pub(crate) fn add(&mut self, path: PathBuf, mtime: (i64, u32)) -> Result<(), Rejection> {
        self.bytes += path.as_os_str().len() + size_of::<(PathBuf, (i64, u32))>();
        if self.bytes > self.limit {
            return Err(Rejection::DirectoryNames(self.limit));
        }
        self.times.push((path, mtime));
        Ok(())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &(PathBuf, (i64, u32))> {
        self.times.iter()
    }
}
