//! The directory with all files of a platform.

use std::path::{Path, PathBuf};

use super::LocalError;
use crate::console::Console;

/// The directory with all files of a platform.
#[derive(Debug)]
pub(super) enum StateDir {
    /// A directory of the user, which is kept.
    Kept(PathBuf),
    /// A temporary directory, which is removed.
    Temporary(tempfile::TempDir),
}

impl StateDir {
    /// Creates the directory `kept`, if it does not exist, or a temporary one.
    pub(super) fn new(kept: Option<PathBuf>) -> Result<Self, LocalError> {
        let Some(path) = kept else {
            let made = tempfile::Builder::new().prefix("trackyard-local-").tempdir();
            return made.map(Self::Temporary).map_err(LocalError::system("create a temporary directory"));
        };
        std::fs::create_dir_all(&path).map_err(LocalError::file("create the directory", &path))?;
        canonical(&path).map(Self::Kept)
    }

    /// Returns the directory's path.
    pub(super) fn path(&self) -> PathBuf {
        match self {
            Self::Kept(path) => path.clone(),
            Self::Temporary(dir) => dir.path().to_owned(),
        }
    }

    /// Removes a temporary directory; says where a kept one is.
    pub(super) fn close(self, console: Console) -> Result<(), LocalError> {
        match self {
            Self::Kept(path) => console.say(&format!("local: {} is kept", path.display())),
            Self::Temporary(dir) => {
                remove_files(dir.path());
                dir.close().map_err(LocalError::system("remove the temporary directory"))?;
            }
        }
        Ok(())
    }
}

/// Removes the files below a directory with several threads: images have thousands of files, and a disk that discards
/// freed blocks takes milliseconds for each. Files that cannot be removed are left to the caller, which removes the
/// directories.
fn remove_files(dir: &Path) {
    const MAX_THREADS: usize = 8;
    let mut files = Vec::new();
    collect_files(dir, &mut files);
    let share = files.len().div_ceil(MAX_THREADS).max(1);
    std::thread::scope(|scope| {
        for files in files.chunks(share) {
            scope.spawn(move || files.iter().for_each(|file| drop(std::fs::remove_file(file))));
        }
    });
}

fn collect_files(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => collect_files(&entry.path(), files),
            _ => files.push(entry.path()),
        }
    }
}

/// Returns the canonical path, which is the same for all processes.
pub(super) fn canonical(path: impl AsRef<Path>) -> Result<PathBuf, LocalError> {
    let path = path.as_ref();
    std::fs::canonicalize(path).map_err(LocalError::file("find", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removal_does_not_follow_links() {
        let home = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        std::fs::write(elsewhere.path().join("kept"), "").unwrap();
        std::fs::create_dir_all(home.path().join("a/b")).unwrap();
        (0..20).for_each(|n| std::fs::write(home.path().join(format!("a/b/{n}")), "").unwrap());
        std::os::unix::fs::symlink(elsewhere.path(), home.path().join("a/link")).unwrap();
        remove_files(home.path());
        assert_eq!(std::fs::read_dir(home.path().join("a")).unwrap().count(), 1);
        assert_eq!(std::fs::read_dir(home.path().join("a/b")).unwrap().count(), 0);
        assert!(elsewhere.path().join("kept").exists());
    }
}
