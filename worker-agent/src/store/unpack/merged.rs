//! The folder being made and the layers below it, as the one tree that a container would see.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use rustix::fs::{Mode, Stat, mkdirat, readlinkat};
use rustix::io::Errno;

use super::Error;
use super::attributes::Attributes;
use super::folders::Folders;
use super::limits::Limits;
use super::rejected::{Rejected, shown};
use super::tree::{Node, failed, is_opaque, look, make_opaque, open_inside, open_plain, put, remove};

const MAX_SYMLINKS: u32 = 40;

/// The layers below, from the top.
pub(crate) struct Lowers(Vec<OwnedFd>);

/// Something in a lower layer.
pub(crate) struct Found {
    pub(crate) folder: OwnedFd,
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

    /// Finds `path`, whose folders are no symlinks.
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
    let mut folder = open_plain(root, Path::new(""))?;
    let mut hidden = is_opaque(&folder)?;
    let mut names = path.iter().peekable();
    while let Some(name) = names.next() {
        let is_last = names.peek().is_none();
        match look(&folder, name)? {
            None if hidden => return Ok(Step::Hidden),
            None => return Ok(Step::Missing),
            Some((Node::Whiteout, _)) => return Ok(Step::Hidden),
            Some((node, stat)) if is_last => return Ok(Step::Found(Found { folder, node, stat })),
            Some((Node::Folder, _)) => folder = open_plain(&folder, Path::new(name))?,
            Some(_) => return Ok(Step::Hidden),
        }
        hidden |= is_opaque(&folder)?;
    }
    Ok(Step::Missing)
}

/// The folder being made, on top of [`Lowers`].
pub(crate) struct Merged {
    root: OwnedFd,
    lowers: Option<Lowers>,
    asked_lower: bool,
    /// The folder opened last: entries of one folder mostly follow each other.
    last: Option<(PathBuf, Rc<OwnedFd>)>,
    /// Times of folders that were made on the way, to be set at the end.
    pub(crate) made: Folders,
}

impl Merged {
    pub(crate) const fn new(root: OwnedFd, lowers: Option<Lowers>, limits: &Limits) -> Self {
        Self { root, lowers, asked_lower: false, last: None, made: Folders::new(limits) }
    }

    pub(crate) const fn root(&self) -> &OwnedFd {
        &self.root
    }

    pub(crate) const fn asked_lower(&self) -> bool {
        self.asked_lower
    }

    /// Something was removed: a folder known by its path may be another one now.
    pub(crate) fn forget(&mut self) {
        self.last = None;
    }

    /// The folder at `path`, made if it is not there.
    pub(crate) fn folder(&mut self, path: &Path) -> Result<Rc<OwnedFd>, Error> {
        if let Some((known, folder)) = &self.last
            && known == path
        {
            return Ok(Rc::clone(folder));
        }
        let folder = match open_inside(&self.root, path) {
            Ok(folder) => folder,
            Err(Errno::NOENT | Errno::NOTDIR) => {
                let real = self.make(path)?;
                self.open(&real)?
            }
            Err(errno) => return Err(failed("opening a folder", path.as_os_str().as_bytes(), errno)),
        };
        let folder = Rc::new(folder);
        self.last = Some((path.to_owned(), Rc::clone(&folder)));
        Ok(folder)
    }

    /// Walks `path` through the merged tree, making its folders here; gives the path without symlinks.
    pub(crate) fn make(&mut self, path: &Path) -> Result<PathBuf, Error> {
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

    /// One component: goes into the folder `name`, or gives the target of the symlink that it is.
    fn step(&mut self, real: &mut PathBuf, name: &OsStr) -> Result<Option<OsString>, Error> {
        let folder = self.open(real)?;
        let path = real.join(name);
        let node =
            look(&folder, name).map_err(|e| failed("reading a folder", path.as_os_str().as_bytes(), e))?;
        match node {
            Some((Node::Folder, _)) => {}
            Some((Node::Symlink, _)) => return read_link(&folder, name).map(Some),
            Some((Node::Whiteout, _)) => self.replace_whiteout(&folder, name, &path)?,
            Some(_) => return Err(not_a_folder(&path)),
            None => match self.lower(&path)? {
                Some(Found { node: Node::Symlink, folder, .. }) => return read_link(&folder, name).map(Some),
                Some(found @ Found { node: Node::Folder, .. }) => {
                    let attributes = Attributes::of(&found, name)?;
                    self.make_one(&folder, name, path, &attributes)?;
                }
                Some(_) => return Err(not_a_folder(&path)),
                None => self.make_one(&folder, name, path, &Attributes::default())?,
            },
        }
        real.push(name);
        Ok(None)
    }

    /// A folder where this layer has removed something: nothing from below shows in it.
    fn replace_whiteout(&mut self, folder: &OwnedFd, name: &OsStr, path: &Path) -> Result<(), Error> {
        remove(folder.as_fd(), name).map_err(|source| Error::Io { what: "removing a whiteout", source })?;
        self.make_one(folder, name, path.to_owned(), &Attributes::default())?;
        let made = self.open(path)?;
        make_opaque(made.as_fd()).map_err(|e| failed("making a folder", path.as_os_str().as_bytes(), e))
    }

    fn make_one(
        &mut self,
        folder: &OwnedFd,
        name: &OsStr,
        path: PathBuf,
        attributes: &Attributes,
    ) -> Result<(), Error> {
        put(folder.as_fd(), name, || mkdirat(folder, name, Mode::from_raw_mode(0o700)))?;
        attributes.apply(&self.open(&path)?, path.as_os_str().as_bytes())?;
        Ok(self.made.add(path, attributes.mtime)?)
    }

    /// What the layers below have at `path`, whose folders are no symlinks and exist here.
    pub(crate) fn lower(&mut self, path: &Path) -> Result<Option<Found>, Error> {
        let fault = |errno| failed("reading a lower layer", path.as_os_str().as_bytes(), errno);
        for above in path.ancestors().skip(1) {
            if is_opaque(self.open(above)?).map_err(fault)? {
                return Ok(None);
            }
        }
        self.asked_lower = true;
        self.lowers.as_ref().ok_or(Error::NeedsLower)?.find(path).map_err(fault)
    }

    fn open(&self, real: &Path) -> Result<OwnedFd, Error> {
        open_plain(&self.root, real).map_err(|e| failed("opening a folder", real.as_os_str().as_bytes(), e))
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

pub(crate) fn read_link(folder: &OwnedFd, name: &OsStr) -> Result<OsString, Error> {
    let target =
        readlinkat(folder, name, Vec::new()).map_err(|e| failed("reading a symlink", name.as_bytes(), e))?;
    Ok(OsString::from_vec(target.into_bytes()))
}

fn not_a_folder(path: &Path) -> Error {
    Rejected::NotAFolder(shown(path.as_os_str().as_bytes())).into()
}
