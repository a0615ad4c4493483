//! A small disk of a worker's own, which can be filled.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::binaries::system;

/// Enough for the images of a run, and soon full.
const SIZE: &str = "size=64m,mode=755";
const FILLER: &str = "filler";

/// A mounted file system in memory.
pub(super) struct Disk {
    place: PathBuf,
}

impl Disk {
    pub(super) fn mount(place: &Path) -> Self {
        fs::create_dir_all(place).expect("a place for a disk");
        let mut mount = Command::new(system("mount", "mount"));
        mount.args(["-t", "tmpfs", "-o", SIZE, "tmpfs"]).arg(place);
        assert!(mount.status().expect("run mount").success(), "a file system in memory");
        Self { place: place.to_owned() }
    }

    /// The worker's directory on it.
    pub(super) fn dir(&self) -> PathBuf {
        self.place.join("work")
    }

    /// Writes until there is no room.
    pub(super) fn fill(&self) {
        let mut file = File::create(self.place.join(FILLER)).expect("a file");
        let block = vec![0; 1 << 16];
        while file.write_all(&block).is_ok() {}
    }

    /// Makes room again.
    pub(super) fn free(&self) {
        // Where nothing was written there is nothing to remove.
        let _ = fs::remove_file(self.place.join(FILLER));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let done = Command::new(system("umount", "mount")).arg(&self.place).status();
        if !done.is_ok_and(|status| status.success()) && !std::thread::panicking() {
            unreachable!("{} is still in use", self.place.display());
        }
    }
}
