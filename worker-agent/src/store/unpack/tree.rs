//! Single operations on directories by descriptor. None follows a symlink in its last component.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Stat, XattrFlags, fgetxattr, fsetxattr, mknodat,
    openat2, statat, unlinkat,
};
use rustix::io::Errno;

use super::UnpackError;
use super::rejection::{Rejection, shown};

const OPAQUE: &str = "trusted.overlay.opaque";
const DIR: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Node {
    Dir,
    Symlink,
    File,
    /// Overlayfs's mark for "not there": a character device 0/0. No other device is ever made here.
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

/// Opens a directory below `root`; symlinks on the way stay inside it.
pub(crate) fn open_inside(root: impl AsFd, path: &Path) -> Result<OwnedFd, Errno> {
    open(root, path, ResolveFlags::IN_ROOT)
}

/// Opens a directory below `root`; a symlink anywhere is an error.
pub(crate) fn open_plain(root: impl AsFd, path: &Path) -> Result<OwnedFd, Errno> {
    open(root, path, ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS)
}

fn open(root: impl AsFd, path: &Path, resolve: ResolveFlags) -> Result<OwnedFd, Errno> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    openat2(root, path, DIR, Mode::empty(), resolve | ResolveFlags::NO_MAGICLINKS)
}

/// What `name` in `dir` is; `None` if there is nothing.
pub(crate) fn look(dir: impl AsFd, name: &OsStr) -> Result<Option<(Node, Stat)>, Errno> {
    match statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some((Node::of(&stat), stat))),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Removes `name`, with all that is in it.
pub(crate) fn remove(dir: BorrowedFd<'_>, name: &OsStr) -> io::Result<()> {
    match unlinkat(dir, name, AtFlags::empty()) {
        // Nobody else works in this directory, so going through its path by descriptor is safe.
        Err(Errno::ISDIR) => {
            let path = Path::new("/proc/self/fd").join(dir.as_raw_fd().to_string()).join(name);
            std::fs::remove_dir_all(path)
        }
        other => Ok(other?),
    }
}

/// Says that `name` of the layers below is gone.
pub(crate) fn make_whiteout(dir: impl AsFd, name: &OsStr) -> Result<(), Errno> {
    mknodat(dir, name, FileType::CharacterDevice, Mode::empty(), 0)
}

/// Hides what the layers below have in this directory. Whiteouts in it say nothing any more, and where nothing is
/// merged the kernel would list them, so they go. In one that is opaque already nothing is done: no whiteout is made
/// there, and a layer may ask for it as often as it has entries.
pub(crate) fn make_opaque(dir: BorrowedFd<'_>) -> Result<(), Errno> {
    if is_opaque(dir)? {
        return Ok(());
    }
    fsetxattr(dir, OPAQUE, b"y", XattrFlags::empty())?;
    for entry in Dir::read_from(dir)? {
        let name = OsStr::from_bytes(entry?.file_name().to_bytes()).to_owned();
        if look(dir, &name)?.is_some_and(|(node, _)| node == Node::Whiteout) {
            unlinkat(dir, &name, AtFlags::empty())?;
        }
    }
    Ok(())
}

/// Whether the directory hides what the layers below have in it.
pub(crate) fn is_opaque(dir: impl AsFd) -> Result<bool, Errno> {
    let mut value = [0_u8; 8];
    match fgetxattr(dir, OPAQUE, &mut value) {
        Ok(length) => Ok(value.get(..length) == Some(b"y")),
        Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::RANGE) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Puts `name` in place by `make`, which must fail on what exists: that is removed first, never written through.
/// Says whether anything was replaced.
pub(crate) fn put<T>(
    dir: BorrowedFd<'_>,
    name: &OsStr,
    make: impl Fn() -> Result<T, Errno>,
) -> Result<(T, bool), UnpackError> {
    let unplaceable = |errno| failed("making a file", name.as_bytes(), errno);
    match make() {
        Ok(made) => Ok((made, false)),
        Err(Errno::EXIST) => {
            remove(dir, name).map_err(|source| UnpackError::Io { what: "replacing a file", source })?;
            Ok((make().map_err(unplaceable)?, true))
        }
        Err(errno) => Err(unplaceable(errno)),
    }
}

/// An error of an operation on `name`: the layer's fault, or the machine's.
pub(crate) fn failed(what: &'static str, name: &[u8], errno: Errno) -> UnpackError {
    match errno {
        Errno::NAMETOOLONG
        | Errno::LOOP
        | Errno::NOTDIR
        | Errno::ISDIR
        | Errno::MLINK
        | Errno::EXIST
        | Errno::NOENT
        | Errno::INVAL
        | Errno::ILSEQ => Rejection::Unplaceable(shown(name), errno.to_string()).into(),
        errno => UnpackError::Io { what, source: errno.into() },
    }
}
