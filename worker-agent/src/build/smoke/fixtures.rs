//! The fixtures of a tooling repository: `tests/<case>/` with a submission and its expected result.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Dir, FileType, Mode, OFlags, ResolveFlags, fstat, openat, openat2};
use rustix::io::Errno;
use trackyard_protocol::name::ExerciseSlug;

/// The directory of the fixtures.
const FIXTURES_DIR: &str = "tests";
/// Maximum number of fixtures to run: a smoke check is not the repository's test suite.
const MAX_FIXTURES: usize = 50;
/// Maximum size of an expected result.
const MAX_EXPECTED_BYTES: u64 = 1 << 20;

/// A fixture.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fixture {
    pub(super) name: ExerciseSlug,
    pub(super) dir: PathBuf,
    pub(super) expected: Vec<u8>,
}

/// The fixtures of a checkout.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) fixtures: Vec<Fixture>,
    /// Directories that are not run, and why.
    pub(super) skipped: Vec<String>,
}

/// Returns the fixtures of a checkout: directories with the file `expected_<result>`. The checkout is hostile: no link
/// in it is followed.
///
/// # Errors
/// If the checkout cannot be read.
pub(super) fn find(tree: &Path, result: &str) -> io::Result<Found> {
    let root = openat(CWD, tree, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let tests = match open_beneath(&root, Path::new(FIXTURES_DIR), OFlags::DIRECTORY) {
        Ok(tests) => tests,
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(Found::default()),
        Err(error) => return Err(error.into()),
    };
    let mut found = Found::default();
    for name in names(&tests)? {
        let Some(expected) = expected(&tests, &name, result)? else { continue };
        match ExerciseSlug::new(&name) {
            Err(_) => {
                found.skipped.push(format!("{FIXTURES_DIR}/{name}: its name is not an exercise's slug"));
            }
            Ok(_) if found.fixtures.len() >= MAX_FIXTURES => {
                found.skipped.push(format!("{FIXTURES_DIR}/{name}: only the first {MAX_FIXTURES} are run"));
            }
            Ok(slug) => {
                let dir = tree.join(FIXTURES_DIR).join(&name);
                found.fixtures.push(Fixture { name: slug, dir, expected });
            }
        }
    }
    Ok(found)
}

fn names(dir: &OwnedFd) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type() == FileType::Directory && !name.starts_with('.') {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Returns the expected result, or `None` if the directory is not a fixture.
fn expected(tests: &OwnedFd, name: &str, result: &str) -> io::Result<Option<Vec<u8>>> {
    let path = Path::new(name).join(format!("expected_{result}"));
    let file = match open_beneath(tests, &path, OFlags::NONBLOCK) {
        Ok(file) => file,
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    if !FileType::from_raw_mode(fstat(&file)?.st_mode).is_file() {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    File::from(file).take(MAX_EXPECTED_BYTES).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

fn open_beneath(dir: &impl AsFd, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    let rules = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    openat2(dir, path, OFlags::RDONLY | OFlags::CLOEXEC | flags, Mode::empty(), rules)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn only_directories_with_expected_results_are_fixtures() {
        // Links are not followed.
        let tree = tempfile::tempdir().unwrap();
        let tests = tree.path().join("tests");
        for (case, file) in [
            ("pass", "expected_results.json"),
            ("Not A Slug", "expected_results.json"),
            ("other", "readme.md"),
            ("analysis", "expected_analysis.json"),
        ] {
            fs::create_dir_all(tests.join(case)).unwrap();
            fs::write(tests.join(case).join(file), "{}").unwrap();
        }
        fs::create_dir(tests.join("link")).unwrap();
        symlink("/etc/passwd", tests.join("link/expected_results.json")).unwrap();
        symlink("/", tests.join("root")).unwrap();
        let found = find(tree.path(), "results.json").unwrap();
        let names: Vec<&str> = found.fixtures.iter().map(|fixture| fixture.name.as_str()).collect();
        assert_eq!((names, found.skipped.len()), (vec!["pass"], 1));
        assert_eq!(found.fixtures[0].expected, b"{}");
    }

    #[test]
    fn repository_without_fixtures() {
        let tree = tempfile::tempdir().unwrap();
        assert_eq!(find(tree.path(), "results.json").unwrap(), Found::default());
        symlink("/", tree.path().join("tests")).unwrap();
        assert_eq!(find(tree.path(), "results.json").unwrap(), Found::default());
    }
}
