//! The files that a tool wrote, read after everything that could change them is gone. Whatever stands there is
//! hostile: a link, a pipe, a device, another file's second name, or far too large.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::BorrowedFd;
use std::os::unix::fs::MetadataExt;

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use trackyard_protocol::limits::Limits;

use super::entry::Entry;
use super::json;

/// What is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    #[error("it is missing")]
    Missing,
    #[error("it is not a regular file")]
    NotRegular,
    #[error("it is too large")]
    TooLarge,
    #[error("it is not UTF-8")]
    BadEncoding,
    #[error("it is not JSON: {0}")]
    Malformed(String),
    #[error("it is nested more than {0} levels deep")]
    TooDeep(u16),
}

/// What a job left behind.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    /// The result and the other outputs that could be read.
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    /// Why there is no result among them.
    pub(crate) fault: Option<Fault>,
    /// Outputs that are there and were not taken.
    pub(crate) refused: Vec<(String, Fault)>,
}

/// Reads the result of `entry` and its other outputs from the job directory.
pub(crate) fn collect(dir: BorrowedFd<'_>, entry: Entry, limits: &Limits) -> Collected {
    let mut collected = Collected::default();
    match read_checked(dir, entry.result(), limits) {
        Ok(bytes) => drop(collected.files.insert(entry.result().to_owned(), bytes)),
        Err(fault) => collected.fault = Some(fault),
    }
    for name in entry.outputs() {
        match read_checked(dir, name, limits) {
            Ok(bytes) => drop(collected.files.insert((*name).to_owned(), bytes)),
            Err(Fault::Missing) => {}
            Err(fault) => collected.refused.push(((*name).to_owned(), fault)),
        }
    }
    collected
}

fn read_checked(dir: BorrowedFd<'_>, name: &str, limits: &Limits) -> Result<Vec<u8>, Fault> {
    let bytes = read(dir, name, limits.result.0)?;
    let is_json = name.strip_suffix(".json").is_some();
    if is_json { json::check(&bytes, limits.result_depth) } else { json::check_text(&bytes) }?;
    Ok(bytes)
}

fn read(dir: BorrowedFd<'_>, name: &str, limit: u64) -> Result<Vec<u8>, Fault> {
    // Not blocking: a pipe without a writer must not hold this thread.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::NOCTTY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH
        | ResolveFlags::NO_SYMLINKS
        | ResolveFlags::NO_MAGICLINKS
        | ResolveFlags::NO_XDEV;
    let file = match openat2(dir, name, flags, Mode::empty(), resolve) {
        Ok(file) => File::from(file),
        Err(Errno::NOENT) => return Err(Fault::Missing),
        Err(_) => return Err(Fault::NotRegular),
    };
    read_regular(file, limit).map_err(|_| Fault::NotRegular)?
}

fn read_regular(file: File, limit: u64) -> io::Result<Result<Vec<u8>, Fault>> {
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.nlink() != 1 {
        return Ok(Err(Fault::NotRegular));
    }
    let mut bytes = Vec::new();
    // One byte more than allowed tells too large from just enough, whatever size the file claims.
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    let too_large = u64::try_from(bytes.len()).is_ok_and(|length| length > limit);
    Ok(if too_large { Err(Fault::TooLarge) } else { Ok(bytes) })
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
        let entry = Entry::candidates(channel).next().unwrap();
        collect(File::open(dir.path()).unwrap().as_fd(), entry, &limits)
    }

    fn fault(fill: impl FnOnce(&Path)) -> Option<Fault> {
        collected(Channel::TestRunners, |dir| fill(&dir.join("results.json"))).fault
    }

    #[test]
    fn only_a_regular_file_of_one_name_is_read() {
        assert_eq!(fault(|_| ()), Some(Fault::Missing));
        assert_eq!(fault(|path| fs::create_dir(path).unwrap()), Some(Fault::NotRegular));
        let link =
            |target: &'static str| move |path: &Path| std::os::unix::fs::symlink(target, path).unwrap();
        assert_eq!(fault(link("/etc/passwd")), Some(Fault::NotRegular));
        assert_eq!(fault(link("/nowhere")), Some(Fault::NotRegular));
        let second_name = |path: &Path| {
            fs::write(path, "{}").unwrap();
            fs::hard_link(path, path.with_extension("other")).unwrap();
        };
        assert_eq!(fault(second_name), Some(Fault::NotRegular));
        let socket = |path: &Path| drop(std::os::unix::net::UnixListener::bind(path).unwrap());
        assert_eq!(fault(socket), Some(Fault::NotRegular));
        let pipe = |path: &Path| {
            let mode = Mode::from_raw_mode(0o600);
            rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        };
        assert_eq!(fault(pipe), Some(Fault::NotRegular));
    }

    #[test]
    fn the_size_limit_is_inclusive() {
        assert_eq!(fault(|path| fs::write(path, "[12345678]").unwrap()), None);
        assert_eq!(fault(|path| fs::write(path, "[123456789]").unwrap()), Some(Fault::TooLarge));
        let sparse = |path: &Path| File::create(path).unwrap().set_len(1 << 40).unwrap();
        assert_eq!(fault(sparse), Some(Fault::TooLarge));
    }

    #[test]
    fn other_outputs_are_taken_when_good_and_named_when_not() {
        let collected = collected(Channel::Representers, |dir| {
            fs::write(dir.join("representation.txt"), "x = 1").unwrap();
            fs::write(dir.join("mapping.json"), "{}").unwrap();
            fs::write(dir.join("representation.json"), "{").unwrap();
        });
        assert_eq!(collected.files.keys().collect::<Vec<_>>(), ["mapping.json", "representation.txt"]);
        assert_eq!(collected.fault, None);
        assert!(
            matches!(&collected.refused[..], [(name, Fault::Malformed(_))] if name == "representation.json")
        );
    }
}
