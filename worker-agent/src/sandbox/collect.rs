//! Collects the files that a tool wrote, once everything that could change them is gone. They are hostile: each may be
//! a link, a pipe, a device, another name of some file, or far too large.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::BorrowedFd;
use std::os::unix::fs::MetadataExt;

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use trackyard_protocol::limits::Limits;

use super::entry::EntryScript;
use super::json;
use super::outcome::OutputError;

/// What a job left behind.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    /// The result and the other outputs that could be read.
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    /// Why the result is not among them.
    pub(crate) result_error: Option<OutputError>,
    /// Outputs that exist but were refused.
    pub(crate) refused: Vec<(String, OutputError)>,
}

/// Reads the result of `entry` and its other outputs from the job directory.
pub(crate) fn collect(dir: BorrowedFd<'_>, entry: EntryScript, limits: &Limits) -> Collected {
    let mut collected = Collected::default();
    match read_checked(dir, entry.result(), limits) {
        Ok(bytes) => drop(collected.files.insert(entry.result().to_owned(), bytes)),
        Err(error) => collected.result_error = Some(error),
    }
    for name in entry.outputs() {
        match read_checked(dir, name, limits) {
            Ok(bytes) => drop(collected.files.insert((*name).to_owned(), bytes)),
            Err(OutputError::Missing) => {}
            Err(error) => collected.refused.push(((*name).to_owned(), error)),
        }
    }
    collected
}

fn read_checked(dir: BorrowedFd<'_>, name: &str, limits: &Limits) -> Result<Vec<u8>, OutputError> {
    let bytes = read(dir, name, limits.result.0)?;
    let is_json = name.strip_suffix(".json").is_some();
    if is_json { json::check(&bytes, limits.result_depth) } else { json::check_text(&bytes) }?;
    Ok(bytes)
}

fn read(dir: BorrowedFd<'_>, name: &str, limit: u64) -> Result<Vec<u8>, OutputError> {
    // Non-blocking, because a pipe without a writer must not block this thread.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::NOCTTY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH
        | ResolveFlags::NO_SYMLINKS
        | ResolveFlags::NO_MAGICLINKS
        | ResolveFlags::NO_XDEV;
    let file = match openat2(dir, name, flags, Mode::empty(), resolve) {
        Ok(file) => File::from(file),
        Err(Errno::NOENT) => return Err(OutputError::Missing),
        Err(_) => return Err(OutputError::NotRegular),
    };
    read_regular(file, limit).map_err(|_| OutputError::NotRegular)?
}

fn read_regular(file: File, limit: u64) -> io::Result<Result<Vec<u8>, OutputError>> {
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.nlink() != 1 {
        return Ok(Err(OutputError::NotRegular));
    }
    let mut bytes = Vec::new();
    // Reading one byte beyond the limit shows whether the file is too large, whatever size it claims.
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    let too_large = u64::try_from(bytes.len()).is_ok_and(|length| length > limit);
    Ok(if too_large { Err(OutputError::TooLarge) } else { Ok(bytes) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::fd::AsFd;
    use std::path::Path;

    use trackyard_protocol::channel::Channel;
    use trackyard_protocol::quantity::Bytes;

    fn collected(channel: Channel, fill: impl FnOnce(&Path)) -> Collected {
        let dir = tempfile::tempdir().unwrap();
        fill(dir.path());
        let limits = Limits { result: Bytes(10), ..Limits::default() };
        let entry = EntryScript::candidates(channel).next().unwrap();
        collect(File::open(dir.path()).unwrap().as_fd(), entry, &limits)
    }

    fn error(fill: impl FnOnce(&Path)) -> Option<OutputError> {
        collected(Channel::TestRunners, |dir| fill(&dir.join("results.json"))).result_error
    }

    #[test]
    fn only_a_regular_file_with_one_name_is_read() {
        assert_eq!(error(|_| ()), Some(OutputError::Missing));
        assert_eq!(error(|path| fs::create_dir(path).unwrap()), Some(OutputError::NotRegular));
        let link =
            |target: &'static str| move |path: &Path| std::os::unix::fs::symlink(target, path).unwrap();
        assert_eq!(error(link("/etc/passwd")), Some(OutputError::NotRegular));
        assert_eq!(error(link("/nowhere")), Some(OutputError::NotRegular));
        let second_name = |path: &Path| {
            fs::write(path, "{}").unwrap();
            fs::hard_link(path, path.with_extension("other")).unwrap();
        };
        assert_eq!(error(second_name), Some(OutputError::NotRegular));
        let socket = |path: &Path| drop(std::os::unix::net::UnixListener::bind(path).unwrap());
        assert_eq!(error(socket), Some(OutputError::NotRegular));
        let pipe = |path: &Path| {
            let mode = Mode::from_raw_mode(0o600);
            rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        };
        assert_eq!(error(pipe), Some(OutputError::NotRegular));
    }

    #[test]
    fn the_size_limit_is_inclusive() {
        assert_eq!(error(|path| fs::write(path, "[12345678]").unwrap()), None);
        assert_eq!(error(|path| fs::write(path, "[123456789]").unwrap()), Some(OutputError::TooLarge));
        let sparse = |path: &Path| File::create(path).unwrap().set_len(1 << 40).unwrap();
        assert_eq!(error(sparse), Some(OutputError::TooLarge));
    }

    #[test]
    fn bad_outputs_are_named() {
        let collected = collected(Channel::Representers, |dir| {
            fs::write(dir.join("representation.txt"), "x = 1").unwrap();
            fs::write(dir.join("mapping.json"), "{}").unwrap();
            fs::write(dir.join("representation.json"), "{").unwrap();
        });
        assert_eq!(collected.files.keys().collect::<Vec<_>>(), ["mapping.json", "representation.txt"]);
        assert_eq!(collected.result_error, None);
        assert!(
            matches!(&collected.refused[..], [(name, OutputError::Malformed(_))] if name == "representation.json")
        );
    }
}
