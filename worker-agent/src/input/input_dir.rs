//! Writes to the job directory by descriptor: no path is resolved through a link, and nothing is overwritten.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, fchmod, mkdirat, openat};
use rustix::io::Errno;

const DIR_MODE: Mode = Mode::from_raw_mode(0o755);

/// The job directory. Clones refer to the same directory.
#[derive(Debug, Clone)]
pub(super) struct InputDir(Arc<OwnedFd>);

impl InputDir {
    pub(super) fn new(dir: OwnedFd) -> Self {
        Self(Arc::new(dir))
    }

    /// Creates a file at a plain path, with its parent directories.
    pub(super) fn create(&self, path: &str, executable: bool) -> io::Result<File> {
        let mode = Mode::from_raw_mode(if executable { 0o755 } else { 0o644 });
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let (parent, name) = self.parent(path)?;
        let file = match &parent {
            Some(parent) => openat(parent, name, flags, mode)?,
            None => openat(self.0.as_fd(), name, flags, mode)?,
        };
        // Set explicitly, because the process's umask must not decide what the container may read.
        fchmod(&file, mode)?;
        Ok(file.into())
    }

    fn parent<'a>(&self, path: &'a str) -> io::Result<(Option<OwnedFd>, &'a str)> {
        let Some((dirs, name)) = path.rsplit_once('/') else { return Ok((None, path)) };
        let mut at: Option<OwnedFd> = None;
        for component in dirs.split('/') {
            let here = at.as_ref().map_or(self.0.as_fd(), AsFd::as_fd);
            at = Some(enter(here, component)?);
        }
        Ok((at, name))
    }
}

fn enter(dir: impl AsFd, name: &str) -> io::Result<OwnedFd> {
    let is_new = match mkdirat(&dir, name, DIR_MODE) {
        Ok(()) => true,
        Err(Errno::EXIST) => false,
        Err(error) => return Err(error.into()),
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let entered = openat(&dir, name, flags, Mode::empty())?;
    if is_new {
        fchmod(&entered, DIR_MODE)?;
    }
    Ok(entered)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn dir() -> (tempfile::TempDir, InputDir) {
        let temporary = tempfile::tempdir().unwrap();
        let dir = InputDir::new(File::open(temporary.path()).unwrap().into());
        (temporary, dir)
    }

    #[test]
    fn parent_dirs_are_made() {
        let (at, dir) = dir();
        dir.create("lib/deep/a.rb", false).unwrap().write_all(b"1").unwrap();
        dir.create("lib/b.sh", true).unwrap();
        assert_eq!(std::fs::read(at.path().join("lib/deep/a.rb")).unwrap(), b"1");
        let mode = |path: &str| std::fs::metadata(at.path().join(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("lib"), mode("lib/b.sh"), mode("lib/deep/a.rb")), (0o755, 0o755, 0o644));
    }

    #[test]
    fn no_link_is_followed_and_nothing_is_overwritten() {
        let (at, dir) = dir();
        let outside = tempfile::tempdir().unwrap();
        symlink(outside.path(), at.path().join("out")).unwrap();
        symlink(outside.path().join("file"), at.path().join("file")).unwrap();
        assert!(dir.create("out/a", false).is_err());
        assert!(dir.create("file", false).is_err());
        dir.create("once", false).unwrap();
        assert!(dir.create("once", false).is_err());
        assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
    }
}
