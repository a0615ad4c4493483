//! The directory being made and the layers below it, as the one tree that a container sees.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use rustix::fs::{Mode, Stat, mkdirat, readlinkat};
use rustix::io::Errno;

use super::attributes::Attributes;
use super::rejection::{Rejection, quoted};
use super::tree::{
    DirTimes, Node, create_or_replace, find, is_opaque, make_opaque, open_within, open_without_symlinks,
    operation_failed, remove,
};
use super::{LayerLimits, UnpackError};

/// Maximum number of symlinks followed in one path, the same as in the kernel.
const MAX_SYMLINKS: u32 = 40;

/// The layers below, from the top.
pub(crate) struct LowerLayers(Vec<OwnedFd>);

/// A node of a lower layer, and the directory that holds it.
pub(crate) struct LowerNode {
    pub(crate) dir: OwnedFd,
    pub(crate) node: Node,
    pub(crate) stat: Stat,
}

enum Lookup {
    Found(LowerNode),
    /// Not in this layer, but maybe in one below.
    Missing,
    /// Not in this layer, and hidden in all layers below.
    Hidden,
}

impl LowerLayers {
    pub(crate) const fn new(from_the_top: Vec<OwnedFd>) -> Self {
        Self(from_the_top)
    }

    /// Finds `path`. Its directories must not be symlinks.
    fn find(&self, path: &Path) -> Result<Option<LowerNode>, Errno> {
        for root in &self.0 {
            match find_in(root, path)? {
                Lookup::Found(found) => return Ok(Some(found)),
                Lookup::Missing => {}
                Lookup::Hidden => return Ok(None),
            }
        }
        Ok(None)
    }
}

fn find_in(root: &OwnedFd, path: &Path) -> Result<Lookup, Errno> {
    let mut dir = open_without_symlinks(root, Path::new(""))?;
    let mut hidden = is_opaque(&dir)?;
    let mut names = path.iter().peekable();
    while let Some(name) = names.next() {
        let is_last = names.peek().is_none();
        match find(&dir, name)? {
            None if hidden => return Ok(Lookup::Hidden),
            None => return Ok(Lookup::Missing),
            Some((Node::Whiteout, _)) => return Ok(Lookup::Hidden),
            Some((node, stat)) if is_last => return Ok(Lookup::Found(LowerNode { dir, node, stat })),
            Some((Node::Dir, _)) => dir = open_without_symlinks(&dir, Path::new(name))?,
            Some(_) => return Ok(Lookup::Hidden),
        }
        hidden |= is_opaque(&dir)?;
    }
    Ok(Lookup::Missing)
}

/// The directory being made, on top of [`LowerLayers`].
pub(crate) struct MergedTree {
    root: OwnedFd,
    lowers: Option<LowerLayers>,
    used_lower: bool,
    /// The directory opened last. Entries of one directory mostly follow each other.
    last: Option<(PathBuf, Rc<OwnedFd>)>,
    /// Times of the parent directories made for other entries, to be set at the end.
    pub(crate) made: DirTimes,
}

impl MergedTree {
    pub(crate) const fn new(root: OwnedFd, lowers: Option<LowerLayers>, limits: &LayerLimits) -> Self {
        Self { root, lowers, used_lower: false, last: None, made: DirTimes::new(limits) }
    }

    pub(crate) const fn root(&self) -> &OwnedFd {
        &self.root
    }

    pub(crate) const fn used_lower(&self) -> bool {
        self.used_lower
    }

    /// Forgets the directory opened last. Call it after something was removed, because its path may lead to another
    /// directory now.
    pub(crate) fn forget(&mut self) {
        self.last = None;
    }

    /// Opens the directory at `path`, which is made if it does not exist.
    pub(crate) fn dir(&mut self, path: &Path) -> Result<Rc<OwnedFd>, UnpackError> {
        if let Some((known, dir)) = &self.last
            && known == path
        {
            return Ok(Rc::clone(dir));
        }
        let dir = match open_within(&self.root, path) {
            Ok(dir) => dir,
            Err(Errno::NOENT | Errno::NOTDIR) => {
                let real = self.make(path)?;
                self.open(&real)?
            }
            Err(errno) => {
                return Err(operation_failed("open a directory", path.as_os_str().as_bytes(), errno));
            }
        };
        let dir = Rc::new(dir);
        self.last = Some((path.to_owned(), Rc::clone(&dir)));
        Ok(dir)
    }

    /// Resolves `path` in the merged tree and makes its directories here. Returns the path without symlinks.
    pub(crate) fn make(&mut self, path: &Path) -> Result<PathBuf, UnpackError> {
        let mut real = PathBuf::new();
        let mut left: VecDeque<OsString> = path.iter().map(OsStr::to_owned).collect();
        let mut symlinks = 0;
        while let Some(name) = left.pop_front() {
            if name == ".." {
                real.pop();
                continue;
            }
            let Some(target) = self.step(&mut real, &name)? else { continue };
            symlinks += 1;
            if symlinks > MAX_SYMLINKS {
                return Err(operation_failed("follow symlinks", path.as_os_str().as_bytes(), Errno::LOOP));
            }
            prepend(&target, &mut real, &mut left);
        }
        Ok(real)
    }

    /// Resolves one component: appends the directory `name` to `real`, or returns the target of the symlink `name`.
    fn step(&mut self, real: &mut PathBuf, name: &OsStr) -> Result<Option<OsString>, UnpackError> {
        let dir = self.open(real)?;
        let path = real.join(name);
        let node = find(&dir, name)
            .map_err(|e| operation_failed("read a directory", path.as_os_str().as_bytes(), e))?;
        match node {
            Some((Node::Dir, _)) => {}
            Some((Node::Symlink, _)) => return read_link(&dir, name).map(Some),
            Some((Node::Whiteout, _)) => self.replace_whiteout(&dir, name, &path)?,
            Some(_) => return Err(not_a_directory(&path)),
            None => match self.lower(&path)? {
                Some(LowerNode { node: Node::Symlink, dir, .. }) => return read_link(&dir, name).map(Some),
                Some(found @ LowerNode { node: Node::Dir, .. }) => {
                    let attributes = Attributes::of(&found, name)?;
                    self.make_one(&dir, name, path, &attributes)?;
                }
                Some(_) => return Err(not_a_directory(&path)),
                None => self.make_one(&dir, name, path, &Attributes::default())?,
            },
        }
        real.push(name);
        Ok(None)
    }

    /// Makes a directory where this layer has removed something, so that nothing from below shows in it.
    fn replace_whiteout(&mut self, dir: &OwnedFd, name: &OsStr, path: &Path) -> Result<(), UnpackError> {
        remove(dir.as_fd(), name).map_err(|source| UnpackError::Io { what: "remove a whiteout", source })?;
        self.make_one(dir, name, path.to_owned(), &Attributes::default())?;
        let made = self.open(path)?;
        make_opaque(made.as_fd())
            .map_err(|e| operation_failed("make a directory", path.as_os_str().as_bytes(), e))
    }

    fn make_one(
        &mut self,
        dir: &OwnedFd,
        name: &OsStr,
        path: PathBuf,
        attributes: &Attributes,
    ) -> Result<(), UnpackError> {
        create_or_replace(dir.as_fd(), name, || mkdirat(dir, name, Mode::from_raw_mode(0o700)))?;
        attributes.apply(&self.open(&path)?, path.as_os_str().as_bytes())?;
        Ok(self.made.add(path, attributes.mtime)?)
    }

    /// Finds what the layers below have at `path`. Its directories must exist here and not be symlinks.
    pub(crate) fn lower(&mut self, path: &Path) -> Result<Option<LowerNode>, UnpackError> {
        let failed = |errno| operation_failed("read a lower layer", path.as_os_str().as_bytes(), errno);
        for above in path.ancestors().skip(1) {
            if is_opaque(self.open(above)?).map_err(failed)? {
                return Ok(None);
            }
        }
        self.used_lower = true;
        self.lowers.as_ref().ok_or(UnpackError::NeedsLower)?.find(path).map_err(failed)
    }

    fn open(&self, real: &Path) -> Result<OwnedFd, UnpackError> {
        open_without_symlinks(&self.root, real)
            .map_err(|e| operation_failed("open a directory", real.as_os_str().as_bytes(), e))
    }
}

/// Puts a symlink's target in front of the components that are left.
fn prepend(target: &OsStr, real: &mut PathBuf, left: &mut VecDeque<OsString>) {
    for component in Path::new(target).components().rev() {
        match component {
            Component::RootDir => *real = PathBuf::new(),
            Component::ParentDir => left.push_front(OsString::from("..")),
            Component::Normal(name) => left.push_front(name.to_owned()),
            Component::CurDir | Component::Prefix(_) => {}
        }
    }
}

pub(crate) fn read_link(dir: &OwnedFd, name: &OsStr) -> Result<OsString, UnpackError> {
    let target = readlinkat(dir, name, Vec::new())
        .map_err(|e| operation_failed("read a symlink", name.as_bytes(), e))?;
    Ok(OsString::from_vec(target.into_bytes()))
}

fn not_a_directory(path: &Path) -> UnpackError {
    Rejection::NotADirectory(quoted(path.as_os_str().as_bytes())).into()
}
