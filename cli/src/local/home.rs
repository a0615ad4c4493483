//! The folder that a platform of `local` keeps everything in.

use std::path::{Path, PathBuf};

use super::Error;
use crate::console::Console;

/// The folder of everything: the user's, which stays, or one that goes.
#[derive(Debug)]
pub(super) enum Home {
    /// The user's.
    Kept(PathBuf),
    /// A temporary one.
    Temporary(tempfile::TempDir),
}

impl Home {
    /// The folder, made if it is missing.
    pub(super) fn new(kept: Option<PathBuf>) -> Result<Self, Error> {
        let Some(path) = kept else {
            let made = tempfile::Builder::new().prefix("trackyard-local-").tempdir();
            return made.map(Self::Temporary).map_err(Error::system("make a temporary folder"));
        };
        std::fs::create_dir_all(&path).map_err(Error::file("make the folder", &path))?;
        canonical(&path).map(Self::Kept)
    }

    /// The folder's path.
    pub(super) fn path(&self) -> PathBuf {
        match self {
            Self::Kept(path) => path.clone(),
            Self::Temporary(folder) => folder.path().to_owned(),
        }
    }

    /// Removes it, if it is a temporary one; says where it is, if not.
    pub(super) fn leave(self, console: Console) -> Result<(), Error> {
        match self {
            Self::Kept(path) => console.say(&format!("local: {} is kept", path.display())),
            Self::Temporary(folder) => {
                remove_files(folder.path());
                folder.close().map_err(Error::system("remove the temporary folder"))?;
            }
        }
        Ok(())
    }
}

/// Removes the files below a folder, several at a time: a disk that discards what is freed takes milliseconds for each,
/// and images have thousands. What cannot be removed is left to the caller, who removes the folders.
fn remove_files(folder: &Path) {
    const AT_A_TIME: usize = 8;
    let mut files = Vec::new();
    collect_files(folder, &mut files);
    let share = files.len().div_ceil(AT_A_TIME).max(1);
    std::thread::scope(|scope| {
        for files in files.chunks(share) {
            scope.spawn(move || files.iter().for_each(|file| drop(std::fs::remove_file(file))));
        }
    });
}

fn collect_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
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
    fn files_of_a_temporary_folder_are_removed_and_linked_ones_are_not() {
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
