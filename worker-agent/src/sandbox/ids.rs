//! Ranges of user ids, one for each slot on the machine, whichever worker it belongs to.

use std::fs;
use std::path::Path;

use super::error::Error;
use super::lock::Lock;

/// Ids in a range: as many as an image may use.
pub(crate) const COUNT: u32 = 65_536;
/// The first id: above those that systemd gives to its containers.
const FIRST: u32 = 0x7000_0000;
const RANGES: u32 = 4096;
const _: () = assert!(FIRST + RANGES * COUNT <= 1 << 31, "some programs take ids for signed numbers");

/// A range that no other slot of this machine has, as long as this lives.
#[derive(Debug)]
pub(crate) struct IdRange {
    /// The id of the container's root.
    pub(crate) base: u32,
    _lock: Lock,
}

impl IdRange {
    /// Removes the locks that killed workers left; each would stay until its range was the first free one again.
    pub(crate) fn sweep(dir: &Path) {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            // Taken and dropped it is gone; what another process holds stays.
            let _ = Lock::take(&entry.path());
        }
    }

    /// Takes the first free range; the locks are files in `dir`.
    pub(crate) fn claim(dir: &Path) -> Result<Self, Error> {
        let fault = |error| Error::launch(format!("lock a range of user ids in {}", dir.display()))(error);
        fs::create_dir_all(dir).map_err(fault)?;
        for number in 0..RANGES {
            if let Some(lock) = Lock::take(&dir.join(number.to_string())).map_err(fault)? {
                return Ok(Self { base: FIRST + number * COUNT, _lock: lock });
            }
        }
        Err(Error::host(
            format!("all {RANGES} ranges of user ids are taken"),
            "run fewer slots on this machine",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_slots_share_a_range_and_a_free_one_is_taken_again() {
        let dir = tempfile::tempdir().unwrap();
        let first = IdRange::claim(dir.path()).unwrap();
        let second = IdRange::claim(dir.path()).unwrap();
        assert_eq!(second.base - first.base, COUNT);
        let base = first.base;
        drop(first);
        assert_eq!(IdRange::claim(dir.path()).unwrap().base, base);
        drop(second);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "no lock is left");
    }

    #[test]
    fn a_killed_workers_lock_is_swept_and_a_living_ones_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let _held = IdRange::claim(dir.path()).unwrap();
        fs::write(dir.path().join("19"), "").unwrap();
        IdRange::sweep(dir.path());
        let left: Vec<_> =
            fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["0"]);
    }
}
