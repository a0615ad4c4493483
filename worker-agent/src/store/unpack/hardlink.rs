//! Applies hard links, also to files that only a lower layer has.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::rc::Rc;

use rustix::fs::{AtFlags, Mode, OFlags, linkat, openat};

use super::UnpackError;
use super::apply::Applier;
use super::attributes::Attributes;
use super::merged::read_link;
use super::name::{checked_path, split};
use super::rejection::{Rejection, quoted};
use super::tree::{Node, create_or_replace, find, operation_failed};

impl Applier<'_> {
    /// Makes `path` a hard link to `target`.
    pub(crate) fn hardlink(&mut self, path: &Path, target: &[u8]) -> Result<(), UnpackError> {
        let Some((parent, name)) = split(path) else { return Ok(()) };
        let target_path = checked_path(target, self.limits)?;
        let missing = || Rejection::LinkTarget(quoted(path.as_os_str().as_bytes()), quoted(target));
        let (target_parent, target_name) = split(&target_path).ok_or_else(missing)?;
        let source = self.linkable(target_parent, target_name)?.ok_or_else(missing)?;
        let dir = self.merged.dir(parent)?;
        if inode(&source, target_name) == inode(&dir, name) {
            return Ok(());
        }
        let ((), replaced) = create_or_replace(dir.as_fd(), name, || {
            linkat(&*source, target_name, &*dir, name, AtFlags::empty())
        })?;
        if replaced {
            self.merged.forget();
        }
        Ok(())
    }

    /// Returns the directory that holds the target of a hard link. The target is copied up if only a lower layer has
    /// it. Returns `None` if there is no such file.
    fn linkable(&mut self, parent: &Path, name: &OsStr) -> Result<Option<Rc<OwnedFd>>, UnpackError> {
        let dir = self.merged.dir(parent)?;
        let found =
            find(&*dir, name).map_err(|e| operation_failed("read a directory", name.as_bytes(), e))?;
        match found {
            Some((Node::File | Node::Symlink, _)) => Ok(Some(dir)),
            Some(_) => Ok(None),
            None => Ok(self.copy_up(&dir, parent, name)?.then_some(dir)),
        }
    }

    /// Copies a file or symlink from the layers below. Returns false if they have none.
    fn copy_up(&mut self, dir: &OwnedFd, parent: &Path, name: &OsStr) -> Result<bool, UnpackError> {
        let real = self.merged.make(parent)?.join(name);
        let Some(found) = self.merged.lower(&real)? else { return Ok(false) };
        let attributes = Attributes::of(&found, name)?;
        match found.node {
            Node::File => {
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let lower = openat(&found.dir, name, flags, Mode::empty())
                    .map_err(|e| operation_failed("read a lower layer", name.as_bytes(), e))?;
                self.file(dir, name, &attributes, &mut File::from(lower))?;
                Ok(true)
            }
            Node::Symlink => {
                let target = read_link(&found.dir, name)?;
                self.symlink(dir, name, &target, &attributes)?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }
}

/// Returns what identifies a file, or `None` if there is none.
fn inode(dir: &OwnedFd, name: &OsStr) -> Option<(u64, u64)> {
    let (_, stat) = find(dir, name).ok().flatten()?;
    Some((stat.st_dev, stat.st_ino))
}
