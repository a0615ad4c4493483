//! Directories for targets that write files: one to write into, and surroundings that must not change.

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

/// A directory to write into, with a file and another directory beside it.
pub(crate) struct Tree {
    dir: tempfile::TempDir,
}

impl Tree {
    /// Makes an empty `root` and a layer `lower` below it, with links that lead out of it.
    pub(crate) fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("trackyard-fuzz-").tempdir().expect("a directory is made");
        let at = |name: &str| dir.path().join(name);
        fs::write(at("outside"), "untouched").expect("a file is written");
        for name in ["root", "lower", "lower/usr", "lower/usr/bin", "lower/etc"] {
            fs::create_dir(at(name)).expect("a directory is made");
        }
        fs::write(at("lower/etc/passwd"), "root").expect("a file is written");
        for (target, name) in [("usr/bin", "lower/bin"), ("../../..", "lower/out"), ("/", "lower/top")] {
            symlink(target, at(name)).expect("a link is made");
        }
        Self { dir }
    }

    /// Opens the directory to write into.
    pub(crate) fn root(&self) -> OwnedFd {
        self.open("root")
    }

    /// Opens the layer below.
    pub(crate) fn lower(&self) -> OwnedFd {
        self.open("lower")
    }

    /// Asserts that only `root` has changed. Returns the number of nodes in it and the bytes of its files.
    pub(crate) fn check(&self) -> (u64, u64) {
        let path = self.dir.path();
        let mut names: Vec<_> =
            names(path).into_iter().filter_map(|path| Some(path.file_name()?.to_owned())).collect();
        names.sort();
        assert_eq!(names, ["lower", "outside", "root"], "something was written outside");
        assert_eq!(fs::read(path.join("outside")).ok().as_deref(), Some(&b"untouched"[..]));
        assert_eq!(fs::read(path.join("lower/etc/passwd")).ok().as_deref(), Some(&b"root"[..]));
        assert_eq!(measure(&path.join("lower")), (7, 4), "the layer below was written to");
        measure(&path.join("root"))
    }

    fn open(&self, name: &str) -> OwnedFd {
        File::open(self.dir.path().join(name)).expect("the directory is there").into()
    }
}

/// Counts the nodes below a directory and the bytes of its files. Follows no link; the bytes of a file with several
/// names count once.
fn measure(dir: &Path) -> (u64, u64) {
    names(dir).into_iter().fold((0, 0), |(nodes, bytes), path| {
        let meta = fs::symlink_metadata(&path).expect("it is there");
        let below = if meta.is_dir() { measure(&path) } else { (0, 0) };
        let own = if meta.is_file() { meta.size() / meta.nlink().max(1) } else { 0 };
        (nodes + 1 + below.0, bytes + own + below.1)
    })
}

fn names(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).expect("a directory can be read");
    entries.map(|entry| entry.expect("an entry can be read").path()).collect()
}
