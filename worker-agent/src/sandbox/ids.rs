//! Ranges of user ids, one for each slot on the machine, across all its workers.

use std::fs;
use std::path::Path;

use super::error::SandboxError;
use super::lock::Lock;

/// Number of ids in a range: as many as an image may use.
pub(crate) const IDS_PER_SLOT: u32 = 65_536;
/// The first id of the first range, above those that systemd gives to its containers.
const FIRST_ID: u32 = 0x7000_0000;
const MAX_RANGES: u32 = 4096;
const _: () =
    assert!(FIRST_ID + MAX_RANGES * IDS_PER_SLOT <= 1 << 31, "some programs take ids for signed numbers");

/// A range of ids that no other slot of this machine has while this value lives.
#[derive(Debug)]
pub(crate) struct IdRange {
    /// The id of the container's root.
    pub(crate) base: u32,
    _lock: Lock,
}

impl IdRange {
    /// Removes the locks that killed workers left. Otherwise each would stay until its range is taken again.
    pub(crate) fn sweep(dir: &Path) {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            // Taking and dropping a lock removes it. A lock that another process holds stays.
            let _ = Lock::take(&entry.path());
        }
    }

    /// Takes the first free range. The locks are files in `dir`.
    pub(crate) fn claim(dir: &Path) -> Result<Self, SandboxError> {
        let failed =
            |error| SandboxError::launch(format!("lock a range of user ids in {}", dir.display()))(error);
        fs::create_dir_all(dir).map_err(failed)?;
        for number in 0..MAX_RANGES {
            if let Some(lock) = Lock::take(&dir.join(number.to_string())).map_err(failed)? {
                return Ok(Self { base: FIRST_ID + number * IDS_PER_SLOT, _lock: lock });
            }
        }
        Err(SandboxError::host(
            format!("all {MAX_RANGES} ranges of user ids are taken"),
            "run fewer slots on this machine",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_never_share_a_range() {
        let dir = tempfile::tempdir().unwrap();
        let first = IdRange::claim(dir.path()).unwrap();
        let second = IdRange::claim(dir.path()).unwrap();
        assert_eq!(second.base - first.base, IDS_PER_SLOT);
        let base = first.base;
        drop(first);
        assert_eq!(IdRange::claim(dir.path()).unwrap().base, base);
        drop(second);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "no lock is left");
    }

    #[test]
    fn only_locks_of_killed_workers_are_swept() {
        let dir = tempfile::tempdir().unwrap();
        let _held = IdRange::claim(dir.path()).unwrap();
        fs::write(dir.path().join("19"), "").unwrap();
        IdRange::sweep(dir.path());
        let left: Vec<_> =
            fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["0"]);
    }
}
