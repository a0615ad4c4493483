//! The directory being made and the layers below it, as the one tree that a container would see.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use rustix::fs::{Mode, Stat, mkdirat, readlinkat};
use rustix::io::Errno;

use super::UnpackError;
use super::attributes::Attributes;
use super::dirs::Dirs;
use super::limits::LayerLimits;
use super::rejection::{Rejection, shown};
use super::tree::{Node, failed, is_opaque, look, make_opaque, open_inside, open_plain, put, remove};

const MAX_SYMLINKS: u32 = 40;

/// The layers below, from the top.
pub(crate) struct Lowers(Vec<OwnedFd>);

/// Something in a lower layer.
pub(crate) struct Found {
    pub(crate) dir: OwnedFd,
    pub(crate) node: Node,
    pub(crate) stat: Stat,
}

enum Step {
    Found(Found),
    /// Not in this layer; maybe in one below.
    Missing,
    /// Not there, and hidden in all layers below.
    Hidden,
}

impl Lowers {
    pub(crate) const fn new(from_the_top: Vec<OwnedFd>) -> Self {
        Self(from_the_top)
    }

    /// Finds `path`, whose directories are no symlinks.
    fn find(&self, path: &Path) -> Result<Option<Found>, Errno> {
        for root in &self.0 {
            match find_in(root, path)? {
                Step::Found(found) => return Ok(Some(found)),
                Step::Missing => {}
                Step::Hidden => return Ok(None),
            }
        }
        Ok(None)
    }
}

fn find_in(root: &OwnedFd, path: &Path) -> Result<Step, Errno> {
    let mut dir = open_plain(root, Path::new(""))?;
    let mut hidden = is_opaque(&dir)?;
    let mut names = path.iter().peekable();
    while let Some(name) = names.next() {
        let is_last = names.peek().is_none();
        match look(&dir, name)? {
            None if hidden => return Ok(Step::Hidden),
            None => return Ok(Step::Missing),
            Some((Node::Whiteout, _)) => return Ok(Step::Hidden),
            Some((node, stat)) if is_last => return Ok(Step::Found(Found { dir, node, stat })),
            Some((Node::Dir, _)) => dir = open_plain(&dir, Path::new(name))?,
            Some(_) => return Ok(Step::Hidden),
        }
        hidden |= is_opaque(&dir)?;
    }
    Ok(Step::Missing)
}

/// The directory being made, on top of [`Lowers`].
pub(crate) struct Merged {
    root: OwnedFd,
    lowers: Option<Lowers>,
    used_lower: bool,
    /// The directory opened last: entries of one directory mostly follow each other.
    last: Option<(PathBuf, Rc<OwnedFd>)>,
    /// Times of directories that were made on the way, to be set at the end.
    pub(crate) made: Dirs,
}

impl Merged {
    pub(crate) const fn new(root: OwnedFd, lowers: Option<Lowers>, limits: &LayerLimits) -> Self {
        Self { root, lowers, used_lower: false, last: None, made: Dirs::new(limits) }
    }

    pub(crate) const fn root(&self) -> &OwnedFd {
        &self.root
    }

    pub(crate) const fn used_lower(&self) -> bool {
        self.used_lower
    }

    /// Something was removed: a directory known by its path may be another one now.
    pub(crate) fn forget(&mut self) {
        self.last = None;
    }

    /// The directory at `path`, made if it is not there.
    pub(crate) fn dir(&mut self, path: &Path) -> Result<Rc<OwnedFd>, UnpackError> {
        if let Some((known, dir)) = &self.last
            && known == path
        {
            return Ok(Rc::clone(dir));
        }
        let dir = match open_inside(&self.root, path) {
            Ok(dir) => dir,
            Err(Errno::NOENT | Errno::NOTDIR) => {
                let real = self.make(path)?;
                self.open(&real)?
            }
            Err(errno) => return Err(failed("opening a directory", path.as_os_str().as_bytes(), errno)),
        };
        let dir = Rc::new(dir);
        self.last = Some((path.to_owned(), Rc::clone(&dir)));
        Ok(dir)
    }

    /// Walks `path` through the merged tree, making its directories here; gives the path without symlinks.
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
                return Err(failed("following symlinks", path.as_os_str().as_bytes(), Errno::LOOP));
            }
            prepend(&target, &mut real, &mut left);
        }
        Ok(real)
    }

    /// One component: goes into the directory `name`, or gives the target of the symlink that it is.
    fn step(&mut self, real: &mut PathBuf, name: &OsStr) -> Result<Option<OsString>, UnpackError> {
        let dir = self.open(real)?;
        let path = real.join(name);
        let node =
            look(&dir, name).map_err(|e| failed("reading a directory", path.as_os_str().as_bytes(), e))?;
        match node {
            Some((Node::Dir, _)) => {}
            Some((Node::Symlink, _)) => return read_link(&dir, name).map(Some),
            Some((Node::Whiteout, _)) => self.replace_whiteout(&dir, name, &path)?,
            Some(_) => return Err(not_a_directory(&path)),
            None => match self.lower(&path)? {
                Some(Found { node: Node::Symlink, dir, .. }) => return read_link(&dir, name).map(Some),
                Some(found @ Found { node: Node::Dir, .. }) => {
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

    /// A directory where this layer has removed something: nothing from below shows in it.
    fn replace_whiteout(&mut self, dir: &OwnedFd, name: &OsStr, path: &Path) -> Result<(), UnpackError> {
        remove(dir.as_fd(), name)
            .map_err(|source| UnpackError::Io { what: "removing a whiteout", source })?;
        self.make_one(dir, name, path.to_owned(), &Attributes::default())?;
        let made = self.open(path)?;
        make_opaque(made.as_fd()).map_err(|e| failed("making a directory", path.as_os_str().as_bytes(), e))
    }

    fn make_one(
        &mut self,
        dir: &OwnedFd,
        name: &OsStr,
        path: PathBuf,
        attributes: &Attributes,
    ) -> Result<(), UnpackError> {
        put(dir.as_fd(), name, || mkdirat(dir, name, Mode::from_raw_mode(0o700)))?;
        attributes.apply(&self.open(&path)?, path.as_os_str().as_bytes())?;
        Ok(self.made.add(path, attributes.mtime)?)
    }

    /// What the layers below have at `path`, whose directories are no symlinks and exist here.
    pub(crate) fn lower(&mut self, path: &Path) -> Result<Option<Found>, UnpackError> {
        let fault = |errno| failed("reading a lower layer", path.as_os_str().as_bytes(), errno);
        for above in path.ancestors().skip(1) {
            if is_opaque(self.open(above)?).map_err(fault)? {
                return Ok(None);
            }
        }
        self.used_lower = true;
        self.lowers.as_ref().ok_or(UnpackError::NeedsLower)?.find(path).map_err(fault)
    }

    fn open(&self, real: &Path) -> Result<OwnedFd, UnpackError> {
        open_plain(&self.root, real)
            .map_err(|e| failed("opening a directory", real.as_os_str().as_bytes(), e))
    }
}

/// Puts a symlink's target before what is left of the way.
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
    let target =
        readlinkat(dir, name, Vec::new()).map_err(|e| failed("reading a symlink", name.as_bytes(), e))?;
    Ok(OsString::from_vec(target.into_bytes()))
}

fn not_a_directory(path: &Path) -> UnpackError {
    Rejection::NotADirectory(shown(path.as_os_str().as_bytes())).into()
}
