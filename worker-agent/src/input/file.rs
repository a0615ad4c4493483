//! Submissions from a directory of this machine: beneath an allowed directory, no links, regular files only.

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

/// Copies all files of the directory `path`, and gives their number.
pub(super) async fn fetch(
    allowed: &[PathBuf],
    path: &str,
    caps: InputLimits,
    dir: InputDir,
    budget: ByteBudget,
) -> Result<usize, InputError> {
    let Some((base, below)) = beneath(allowed, path) else { return Err(InputError::Dir(path.to_owned())) };
    let path = path.to_owned();
    let copy = tokio::task::spawn_blocking(move || {
        let source = open_source(&base, &below, &path)?;
        copy(&source, &path, caps, &dir, &budget)
    });
    copy.await.map_err(|error| InputError::Write(error.into()))?
}

/// The allowed directory that holds `path`, and the way from there.
fn beneath(allowed: &[PathBuf], path: &str) -> Option<(PathBuf, PathBuf)> {
    let path = Path::new(path);
    allowed.iter().find_map(|base| {
        let below = path.strip_prefix(base).ok()?;
        (base.is_absolute() && !below.as_os_str().is_empty()).then(|| (base.clone(), below.to_owned()))
    })
}

fn open_source(base: &Path, below: &Path, path: &str) -> Result<OwnedFd, InputError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    // The allowed directory itself is the machine's own business, and may be a link.
    let base = openat(CWD, base, flags, Mode::empty()).map_err(|error| refused(error, path))?;
    openat2(&base, below, flags, Mode::empty(), beneath_only()).map_err(|error| refused(error, path))
}

fn beneath_only() -> ResolveFlags {
    ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS
}

fn refused(error: Errno, path: &str) -> InputError {
    match error {
        Errno::NOENT | Errno::NOTDIR => InputError::Empty(format!("file://{path}")),
        Errno::LOOP | Errno::XDEV => InputError::unsafe_key(path, "there is a link on the way"),
        other => {
            InputError::download(format!("file://{path}"), std::io::Error::from(other).kind().to_string())
        }
    }
}

fn copy(
    source: &OwnedFd,
    path: &str,
    caps: InputLimits,
    dir: &InputDir,
    budget: &ByteBudget,
) -> Result<usize, InputError> {
    let mut plan = InputPlan::new(caps);
    list(source, "", MAX_DEPTH, &mut plan)?;
    let files = plan.finish(|| format!("file://{path}"))?;
    for file in &files {
        copy_one(source, file, dir, budget)?;
    }
    Ok(files.len())
}

fn list(at: &OwnedFd, prefix: &str, depth: usize, plan: &mut InputPlan) -> Result<(), InputError> {
    let entries = Dir::read_from(at).map_err(|error| refused(error, prefix))?;
    for entry in entries {
        let entry = entry.map_err(|error| refused(error, prefix))?;
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
    // O_PATH opens anything, and moves nothing: a pipe does not block, a device is not started.
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let entry = File::from(openat(at, name, flags, Mode::empty()).map_err(|error| refused(error, path))?);
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
    let inner = openat(at, name, flags, Mode::empty()).map_err(|error| refused(error, path))?;
    plan.add(&format!("{path}/"), 0)?;
    list(&inner, &format!("{path}/"), depth, plan)
}

fn copy_one(source: &OwnedFd, path: &str, dir: &InputDir, budget: &ByteBudget) -> Result<(), InputError> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = openat2(source.as_fd(), path, flags, Mode::empty(), beneath_only())
        .map_err(|error| refused(error, path))?;
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

    const CAPS: InputLimits = InputLimits { files: 10, bytes: 1000, entries: 20 };

    struct Place {
        root: tempfile::TempDir,
        job: tempfile::TempDir,
    }

    impl Place {
        fn new() -> Self {
            let place = Self { root: tempfile::tempdir().unwrap(), job: tempfile::tempdir().unwrap() };
            fs::create_dir_all(place.root.path().join("allowed/7/lib")).unwrap();
            fs::write(place.root.path().join("allowed/7/a.rb"), "a").unwrap();
            fs::write(place.root.path().join("allowed/7/lib/b.rb"), "bb").unwrap();
            fs::write(place.root.path().join("secret"), "s").unwrap();
            place
        }

        fn at(&self, path: &str) -> PathBuf {
            self.root.path().join(path)
        }

        async fn fetch(&self, path: &str) -> Result<usize, Reason> {
            let dir = InputDir::new(File::open(self.job.path()).unwrap().into());
            let uri = self.at(path).to_str().unwrap().to_owned();
            let budget = ByteBudget::new(CAPS.bytes);
            fetch(&[self.at("allowed")], &uri, CAPS, dir, budget).await.map_err(|error| error.reason())
        }
    }

    #[tokio::test]
    async fn files_are_copied_with_their_dirs() {
        let place = Place::new();
        assert_eq!(place.fetch("allowed/7").await, Ok(2));
        assert_eq!(fs::read(place.job.path().join("lib/b.rb")).unwrap(), b"bb");
    }

    #[tokio::test]
    async fn only_what_is_beneath_an_allowed_dir_is_read() {
        let place = Place::new();
        symlink(place.root.path(), place.at("allowed/up")).unwrap();
        fs::create_dir(place.at("allowedly")).unwrap();
        fs::write(place.at("allowedly/x"), "").unwrap();
        for (path, reason) in [
            ("allowedly", Reason::BadUri),
            ("allowed", Reason::BadUri),
            ("", Reason::BadUri),
            ("allowed/none", Reason::BadUri),
            ("allowed/7/a.rb", Reason::BadUri),
            ("allowed/up", Reason::UnsafeKey),
            ("allowed/up/allowedly", Reason::UnsafeKey),
        ] {
            assert_eq!(place.fetch(path).await, Err(reason), "{path}");
        }
        assert_eq!(fs::read_dir(place.job.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn links_and_pipes_are_refused() {
        let place = Place::new();
        symlink(place.at("secret"), place.at("allowed/7/link")).unwrap();
        assert_eq!(place.fetch("allowed/7").await, Err(Reason::UnsafeKey));
        fs::remove_file(place.at("allowed/7/link")).unwrap();
        assert!(Command::new("mkfifo").arg(place.at("allowed/7/pipe")).status().unwrap().success());
        assert_eq!(place.fetch("allowed/7").await, Err(Reason::UnsafeKey));
    }

    #[tokio::test]
    async fn too_much_and_too_deep_are_refused() {
        let place = Place::new();
        fs::write(place.at("allowed/7/large"), vec![0; 1001]).unwrap();
        assert_eq!(place.fetch("allowed/7").await, Err(Reason::InputSize));
        fs::remove_file(place.at("allowed/7/large")).unwrap();
        fs::create_dir_all(place.at(&format!("allowed/7/{}", "d/".repeat(30)))).unwrap();
        assert_eq!(place.fetch("allowed/7").await, Err(Reason::InputCount));
    }
}
