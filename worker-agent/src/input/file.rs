//! Submissions from a directory of this machine: beneath an allowed directory, without links, regular files only.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Dir, Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;

use super::error::InputError;
use super::input_dir::InputDir;
use super::plan::{ByteBudget, InputLimits, InputPlan, MAX_DEPTH};

/// Copies all files of the directory `path`, and returns their number.
pub(super) async fn fetch(
    allowed: &[PathBuf],
    path: &str,
    limits: InputLimits,
    dir: InputDir,
    budget: ByteBudget,
) -> Result<usize, InputError> {
    let Some((base, below)) = beneath(allowed, path) else { return Err(InputError::Dir(path.to_owned())) };
    let path = path.to_owned();
    let copy = tokio::task::spawn_blocking(move || {
        let source = open_source(&base, &below, &path)?;
        copy(&source, &path, limits, &dir, &budget)
    });
    copy.await.map_err(|error| InputError::Write(error.into()))?
}

/// Returns the allowed directory that contains `path`, and the rest of the path.
fn beneath(allowed: &[PathBuf], path: &str) -> Option<(PathBuf, PathBuf)> {
    let path = Path::new(path);
    allowed.iter().find_map(|base| {
        let below = path.strip_prefix(base).ok()?;
        (base.is_absolute() && !below.as_os_str().is_empty()).then(|| (base.clone(), below.to_owned()))
    })
}

fn open_source(base: &Path, below: &Path, path: &str) -> Result<OwnedFd, InputError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    // The allowed directory is trusted, and may itself be a link.
    let base = openat(CWD, base, flags, Mode::empty()).map_err(|error| cannot_open(error, path))?;
    openat2(&base, below, flags, Mode::empty(), resolve_beneath()).map_err(|error| cannot_open(error, path))
}

fn resolve_beneath() -> ResolveFlags {
    ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS
}

fn cannot_open(error: Errno, path: &str) -> InputError {
    match error {
        Errno::NOENT | Errno::NOTDIR => InputError::Empty(format!("file://{path}")),
        Errno::LOOP | Errno::XDEV => InputError::unsafe_key(path, "there is a link in its path"),
        other => {
            InputError::download(format!("file://{path}"), std::io::Error::from(other).kind().to_string())
        }
    }
}

fn copy(
    source: &OwnedFd,
    path: &str,
    limits: InputLimits,
    dir: &InputDir,
    budget: &ByteBudget,
) -> Result<usize, InputError> {
    let mut plan = InputPlan::new(limits);
    list(source, "", MAX_DEPTH, &mut plan)?;
    let files = plan.finish(|| format!("file://{path}"))?;
    for file in &files {
        copy_one(source, file, dir, budget)?;
    }
    Ok(files.len())
}

fn list(at: &OwnedFd, prefix: &str, depth: usize, plan: &mut InputPlan) -> Result<(), InputError> {
    let entries = Dir::read_from(at).map_err(|error| cannot_open(error, prefix))?;
    for entry in entries {
        let entry = entry.map_err(|error| cannot_open(error, prefix))?;
        let name = entry.file_name().to_string_lossy();
        if name == "." || name == ".." {
            continue;
        }
        if entry.file_name().to_str().is_err() {
            return Err(InputError::unsafe_key(&name, "it is not UTF-8"));
        }
        list_one(at, &name, &format!("{prefix}{name}"), depth, plan)?;
    }
    Ok(())
}

fn list_one(
    at: &OwnedFd,
    name: &str,
    path: &str,
    depth: usize,
    plan: &mut InputPlan,
) -> Result<(), InputError> {
    // O_PATH opens anything without side effects: a pipe does not block, a device is not started.
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let entry = File::from(openat(at, name, flags, Mode::empty()).map_err(|error| cannot_open(error, path))?);
    let metadata = entry.metadata()?;
    if metadata.is_file() {
        return plan.add(path, metadata.len());
    }
    if !metadata.is_dir() {
        return Err(InputError::unsafe_key(path, "it is neither a regular file nor a directory"));
    }
    let Some(depth) = depth.checked_sub(1) else {
        return Err(InputError::unsafe_key(path, "the directories are nested too deeply"));
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let inner = openat(at, name, flags, Mode::empty()).map_err(|error| cannot_open(error, path))?;
    plan.add(&format!("{path}/"), 0)?;
    list(&inner, &format!("{path}/"), depth, plan)
}

fn copy_one(source: &OwnedFd, path: &str, dir: &InputDir, budget: &ByteBudget) -> Result<(), InputError> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = openat2(source.as_fd(), path, flags, Mode::empty(), resolve_beneath())
        .map_err(|error| cannot_open(error, path))?;
    let mut file = File::from(file);
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(InputError::unsafe_key(path, "it is not a regular file any more"));
    }
    let mut out = dir.create(path, metadata.mode() & 0o111 != 0)?;
    let mut chunk = vec![0; 64 << 10];
    loop {
        let count = file
            .read(&mut chunk)
            .map_err(|error| InputError::download(format!("file://{path}"), error.kind().to_string()))?;
        if count == 0 {
            return Ok(());
        }
        budget.take(count)?;
        out.write_all(chunk.get(..count).unwrap_or_default())?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::process::Command;

    use trackyard_protocol::reason::Reason;

    const LIMITS: InputLimits = InputLimits { files: 10, bytes: 1000, entries: 20 };

    struct Fixture {
        root: tempfile::TempDir,
        job: tempfile::TempDir,
    }

    impl Fixture {
        fn new() -> Self {
            let fixture = Self { root: tempfile::tempdir().unwrap(), job: tempfile::tempdir().unwrap() };
            fs::create_dir_all(fixture.root.path().join("allowed/7/lib")).unwrap();
            fs::write(fixture.root.path().join("allowed/7/a.rb"), "a").unwrap();
            fs::write(fixture.root.path().join("allowed/7/lib/b.rb"), "bb").unwrap();
            fs::write(fixture.root.path().join("secret"), "s").unwrap();
            fixture
        }

        fn at(&self, path: &str) -> PathBuf {
            self.root.path().join(path)
        }

        async fn fetch(&self, path: &str) -> Result<usize, Reason> {
            let dir = InputDir::new(File::open(self.job.path()).unwrap().into());
            let uri = self.at(path).to_str().unwrap().to_owned();
            let budget = ByteBudget::new(LIMITS.bytes);
            fetch(&[self.at("allowed")], &uri, LIMITS, dir, budget).await.map_err(|error| error.reason())
        }
    }

    #[tokio::test]
    async fn files_are_copied_with_their_dirs() {
        let fixture = Fixture::new();
        assert_eq!(fixture.fetch("allowed/7").await, Ok(2));
        assert_eq!(fs::read(fixture.job.path().join("lib/b.rb")).unwrap(), b"bb");
    }

    #[tokio::test]
    async fn only_allowed_dirs_are_read() {
        let fixture = Fixture::new();
        symlink(fixture.root.path(), fixture.at("allowed/up")).unwrap();
        fs::create_dir(fixture.at("allowedly")).unwrap();
        fs::write(fixture.at("allowedly/x"), "").unwrap();
        for (path, reason) in [
            ("allowedly", Reason::BadUri),
            ("allowed", Reason::BadUri),
            ("", Reason::BadUri),
            ("allowed/none", Reason::BadUri),
            ("allowed/7/a.rb", Reason::BadUri),
            ("allowed/up", Reason::UnsafeKey),
            ("allowed/up/allowedly", Reason::UnsafeKey),
        ] {
            assert_eq!(fixture.fetch(path).await, Err(reason), "{path}");
        }
        assert_eq!(fs::read_dir(fixture.job.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn links_and_pipes_are_refused() {
        let fixture = Fixture::new();
        symlink(fixture.at("secret"), fixture.at("allowed/7/link")).unwrap();
        assert_eq!(fixture.fetch("allowed/7").await, Err(Reason::UnsafeKey));
        fs::remove_file(fixture.at("allowed/7/link")).unwrap();
        assert!(Command::new("mkfifo").arg(fixture.at("allowed/7/pipe")).status().unwrap().success());
        assert_eq!(fixture.fetch("allowed/7").await, Err(Reason::UnsafeKey));
    }

    #[tokio::test]
    async fn too_much_and_too_deep_are_refused() {
        let fixture = Fixture::new();
        fs::write(fixture.at("allowed/7/large"), vec![0; 1001]).unwrap();
        assert_eq!(fixture.fetch("allowed/7").await, Err(Reason::InputSize));
        fs::remove_file(fixture.at("allowed/7/large")).unwrap();
        fs::create_dir_all(fixture.at(&format!("allowed/7/{}", "d/".repeat(30)))).unwrap();
        assert_eq!(fixture.fetch("allowed/7").await, Err(Reason::InputCount));
    }
}
