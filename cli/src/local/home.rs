//! The directory that a platform of `local` keeps everything in.

use std::path::{Path, PathBuf};

use super::Error;
use crate::console::Console;

/// The directory of everything: the user's, which stays, or one that goes.
#[derive(Debug)]
pub(super) enum Home {
    /// The user's.
    Kept(PathBuf),
    /// A temporary one.
    Temporary(tempfile::TempDir),
}

impl Home {
    /// The directory, made if it is missing.
    pub(super) fn new(kept: Option<PathBuf>) -> Result<Self, Error> {
        let Some(path) = kept else {
            let made = tempfile::Builder::new().prefix("trackyard-local-").tempdir();
            return made.map(Self::Temporary).map_err(Error::system("make a temporary directory"));
        };
        std::fs::create_dir_all(&path).map_err(Error::file("make the directory", &path))?;
        canonical(&path).map(Self::Kept)
    }

    /// The directory's path.
    pub(super) fn path(&self) -> PathBuf {
        match self {
            Self::Kept(path) => path.clone(),
            Self::Temporary(dir) => dir.path().to_owned(),
        }
    }

    /// Removes it, if it is a temporary one; says where it is, if not.
    pub(super) fn leave(self, console: Console) -> Result<(), Error> {
        match self {
            Self::Kept(path) => console.say(&format!("local: {} is kept", path.display())),
            Self::Temporary(dir) => {
                remove_files(dir.path());
                dir.close().map_err(Error::system("remove the temporary directory"))?;
            }
        }
        Ok(())
    }
}

/// Removes the files below a directory, several at a time: a disk that discards what is freed takes milliseconds for each,
/// and images have thousands. What cannot be removed is left to the caller, who removes the directories.
fn remove_files(dir: &Path) {
    const AT_A_TIME: usize = 8;
    let mut files = Vec::new();
    collect_files(dir, &mut files);
    let share = files.len().div_ceil(AT_A_TIME).max(1);
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

/// A path as all parts see it.
pub(super) fn canonical(path: impl AsRef<Path>) -> Result<PathBuf, Error> {
    let path = path.as_ref();
    std::fs::canonicalize(path).map_err(Error::file("find", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_a_temporary_dir_are_removed_and_linked_ones_are_not() {
        let (home, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
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
