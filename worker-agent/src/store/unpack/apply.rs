//! Applies entries, one at a time, to the folder being made.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rustix::fs::{AtFlags, Mode, OFlags, linkat, mkdirat, openat, symlinkat};
use rustix::io::Errno;

use super::archive::{Entry, Kind};
use super::attributes::{Attributes, set_time};
use super::folders::Folders;
use super::limits::Limits;
use super::merged::{Lowers, Merged, read_link};
use super::rejected::{Rejected, shown};
use super::tree::{Node, failed, look, make_opaque, make_whiteout, open_inside, put};
use super::{Error, Outcome};

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE_MARK: &[u8] = b".wh..wh..opq";
const BUFFER: usize = 128 << 10;

pub(crate) struct Applier<'a> {
    merged: Merged,
    limits: &'a Limits,
    /// What may still be written.
    bytes: u64,
    buffer: Vec<u8>,
    /// Folders' times are set last: every entry made in a folder changes its time.
    folders: Folders,
}

impl<'a> Applier<'a> {
    pub(crate) fn new(root: OwnedFd, lowers: Option<Lowers>, limits: &'a Limits) -> Result<Self, Error> {
        Attributes::default().apply(&root, b"/")?;
        Ok(Self {
            merged: Merged::new(root, lowers, limits),
            limits,
            bytes: limits.bytes,
            buffer: vec![0; BUFFER],
            folders: Folders::new(limits),
        })
    }

    /// Applies one entry; `data` gives its content.
    pub(crate) fn apply(&mut self, entry: &Entry, data: &mut impl Read) -> Result<(), Error> {
        let path = clean(&entry.name, self.limits)?;
        let Some((parent, name)) = split(&path) else { return self.root(entry) };
        if parent.iter().any(|part| part.as_bytes().starts_with(WHITEOUT)) {
            return Err(Rejected::Whiteout(shown(&entry.name)).into());
        }
        if name.as_bytes().starts_with(WHITEOUT) {
            return self.whiteout(parent, name);
        }
        let attributes = Attributes::from_entry(entry)?;
        match &entry.kind {
            Kind::File => {
                let folder = self.merged.folder(parent)?;
                self.file(&folder, name, &attributes, data)
            }
            Kind::Folder => self.folder(&path, &attributes),
            Kind::Symlink(target) => {
                if target.is_empty() || target.len() > self.limits.path || target.contains(&0) {
                    return Err(Rejected::Path(shown(target), "the target of a symlink").into());
                }
                let folder = self.merged.folder(parent)?;
                self.symlink(&folder, name, OsStr::from_bytes(target), &attributes)
            }
            Kind::Hardlink(target) => self.hardlink(&path, target),
        }
    }

    /// Sets the folders' times.
    pub(crate) fn finish(self) -> Result<Outcome, Error> {
        // Those made on the way come first: an entry of their own says more.
        for (path, time) in self.merged.made.iter().chain(self.folders.iter()) {
            match open_inside(self.merged.root(), path) {
                Ok(folder) => set_time(folder, *time, path.as_os_str().as_bytes())?,
                // Replaced by a later entry.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                Err(errno) => return Err(failed("opening a folder", path.as_os_str().as_bytes(), errno)),
            }
        }
        Ok(Outcome { asked_lower: self.merged.asked_lower() })
    }

    fn root(&mut self, entry: &Entry) -> Result<(), Error> {
        if entry.kind != Kind::Folder {
            return Err(Rejected::Path(shown(&entry.name), "the root can only be a folder").into());
        }
        let attributes = Attributes::from_entry(entry)?;
        attributes.apply(self.merged.root(), b"/")?;
        Ok(self.folders.add(PathBuf::new(), attributes.mtime)?)
    }

    fn file(
        &mut self,
        folder: &OwnedFd,
        name: &OsStr,
        attributes: &Attributes,
        data: &mut impl Read,
    ) -> Result<(), Error> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let make = || openat(folder, name, flags, Mode::from_raw_mode(0o600));
        let (file, replaced) = put(folder.as_fd(), name, make)?;
        if replaced {
            self.merged.forget();
        }
        let mut file = std::fs::File::from(file);
        self.copy(data, &mut file)?;
        let file = OwnedFd::from(file);
        attributes.apply(&file, name.as_bytes())?;
        set_time(&file, attributes.mtime, name.as_bytes())
    }

    fn copy(&mut self, data: &mut impl Read, file: &mut std::fs::File) -> Result<(), Error> {
        loop {
            let read = data.read(&mut self.buffer).map_err(|e| Rejected::from_read(&e))?;
            if read == 0 {
                return Ok(());
            }
            let left = u64::try_from(read).ok().and_then(|read| self.bytes.checked_sub(read));
            self.bytes = left.ok_or(Rejected::Size(self.limits.bytes))?;
            file.write_all(self.buffer.get(..read).unwrap_or_default())
                .map_err(|source| Error::Io { what: "writing a file", source })?;
        }
    }

    fn folder(&mut self, path: &Path, attributes: &Attributes) -> Result<(), Error> {
        let Some((parent, name)) = split(path) else { return Ok(()) };
        let folder = self.merged.folder(parent)?;
        let fault = |errno| failed("making a folder", path.as_os_str().as_bytes(), errno);
        let exists = look(&*folder, name).map_err(fault)?.is_some_and(|(node, _)| node == Node::Folder);
        let replaced = if exists {
            false
        } else {
            put(folder.as_fd(), name, || mkdirat(&*folder, name, Mode::from_raw_mode(0o700)))?.1
        };
        let made = super::tree::open_plain(&*folder, Path::new(name)).map_err(fault)?;
        if replaced {
            self.merged.forget();
            make_opaque(made.as_fd()).map_err(fault)?;
        }
        attributes.apply(&made, path.as_os_str().as_bytes())?;
        Ok(self.folders.add(path.to_owned(), attributes.mtime)?)
    }

    fn symlink(
        &mut self,
        folder: &OwnedFd,
        name: &OsStr,
        target: &OsStr,
        attributes: &Attributes,
    ) -> Result<(), Error> {
        let ((), replaced) = put(folder.as_fd(), name, || symlinkat(target, folder, name))?;
        if replaced {
            self.merged.forget();
        }
        attributes.apply_symlink(folder, name)
    }

    fn hardlink(&mut self, path: &Path, target: &[u8]) -> Result<(), Error> {
        let Some((parent, name)) = split(path) else { return Ok(()) };
        let target_path = clean(target, self.limits)?;
        let missing = || Rejected::LinkTarget(shown(path.as_os_str().as_bytes()), shown(target));
        let (target_parent, target_name) = split(&target_path).ok_or_else(missing)?;
        let source = self.linkable(target_parent, target_name)?.ok_or_else(missing)?;
        let folder = self.merged.folder(parent)?;
        let is_same = {
            let inode = |f: &OwnedFd, n: &OsStr| look(f, n).ok().flatten().map(|(_, s)| (s.st_dev, s.st_ino));
            inode(&source, target_name) == inode(&folder, name)
        };
        if is_same {
            return Ok(());
        }
        let link = || linkat(&*source, target_name, &*folder, name, AtFlags::empty());
        let ((), replaced) = put(folder.as_fd(), name, link)?;
        if replaced {
            self.merged.forget();
        }
        Ok(())
    }

    /// The folder that holds the target of a hard link, copied up if only a lower layer has it; `None` if there is
    /// no such file.
    fn linkable(&mut self, parent: &Path, name: &OsStr) -> Result<Option<Rc<OwnedFd>>, Error> {
        let folder = self.merged.folder(parent)?;
        let fault = |errno| failed("reading a folder", name.as_bytes(), errno);
        match look(&*folder, name).map_err(fault)? {
            Some((Node::File | Node::Symlink, _)) => Ok(Some(folder)),
            Some(_) => Ok(None),
            None => Ok(self.copy_up(&folder, parent, name)?.then_some(folder)),
        }
    }

    /// Copies a file or symlink from the layers below; false if they have none.
    fn copy_up(&mut self, folder: &OwnedFd, parent: &Path, name: &OsStr) -> Result<bool, Error> {
        let real = self.merged.make(parent)?.join(name);
        let Some(found) = self.merged.lower(&real)? else { return Ok(false) };
        let attributes = Attributes::of(&found, name)?;
        match found.node {
            Node::File => {
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let lower = openat(&found.folder, name, flags, Mode::empty())
                    .map_err(|e| failed("reading a lower layer", name.as_bytes(), e))?;
                self.file(folder, name, &attributes, &mut std::fs::File::from(lower))?;
                Ok(true)
            }
            Node::Symlink => {
                let target = read_link(&found.folder, name)?;
                self.symlink(folder, name, &target, &attributes)?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// A whiteout hides what lies below, and nothing of this layer, whichever comes first.
    fn whiteout(&mut self, parent: &Path, mark: &OsStr) -> Result<(), Error> {
        let path = parent.join(mark);
        let fault = |errno| failed("making a whiteout", path.as_os_str().as_bytes(), errno);
        let folder = match self.merged.folder(parent) {
            // Where a file has replaced a folder, some builders list what was in the folder as gone.
            Err(Error::Rejected(Rejected::NotAFolder(_))) => return Ok(()),
            folder => folder?,
        };
        if mark.as_bytes() == OPAQUE_MARK {
            return make_opaque(folder.as_fd()).map_err(fault);
        }
        let name = mark.as_bytes().get(WHITEOUT.len()..).unwrap_or_default();
        if name.starts_with(WHITEOUT) {
            // Other marks that a file system of old left behind.
            return Ok(());
        }
        if matches!(name, b"" | b"." | b"..") {
            return Err(Rejected::Whiteout(shown(path.as_os_str().as_bytes())).into());
        }
        let name = OsStr::from_bytes(name);
        match look(&*folder, name).map_err(fault)? {
            None if super::tree::is_opaque(&*folder).map_err(fault)? => Ok(()),
            None => make_whiteout(&*folder, name).map_err(fault),
            Some((Node::Folder, _)) => {
                let hidden = super::tree::open_plain(&*folder, Path::new(name)).map_err(fault)?;
                make_opaque(hidden.as_fd()).map_err(fault)
            }
            Some(_) => Ok(()),
        }
    }
}

/// The parent and the last component; `None` for the root.
fn split(path: &Path) -> Option<(&Path, &OsStr)> {
    Some((path.parent()?, path.file_name()?))
}

/// An entry's name as a relative path of plain components; empty for the root.
fn clean(name: &[u8], limits: &Limits) -> Result<PathBuf, Rejected> {
    let refused = |rule| Err(Rejected::Path(shown(name), rule));
    if name.is_empty() || name.contains(&0) {
        return refused("it is empty or has a NUL in it");
    }
    if name.len() > limits.path {
        return refused("it is too long");
    }
    if name.starts_with(b"/") {
        return Err(Rejected::Absolute(shown(name)));
    }
    let mut path = PathBuf::new();
    for (depth, part) in name.split(|b| *b == b'/').filter(|p| !matches!(*p, b"" | b".")).enumerate() {
        if part == b".." {
            return Err(Rejected::ParentComponent(shown(name)));
        }
        if part.len() > 255 || depth >= limits.depth {
            return refused("a component is too long, or there are too many");
        }
        path.push(OsStr::from_bytes(part));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("./a//b/./c/", Some("a/b/c"))]
    #[case("./", Some(""))]
    #[case("a/..b", Some("a/..b"))]
    #[case("/a", None)]
    #[case("a/../b", None)]
    #[case("..", None)]
    #[case("", None)]
    #[case("a\0", None)]
    #[case(&"x".repeat(256), None)]
    #[case(&"x/".repeat(129), None)]
    fn names(#[case] name: &str, #[case] path: Option<&str>) {
        let cleaned = clean(name.as_bytes(), &Limits::default()).ok();
        assert_eq!(cleaned.as_deref(), path.map(Path::new));
    }
}
