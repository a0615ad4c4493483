//! A small disk of a worker's own, which can be filled.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::binaries::system;

/// Mount options: large enough for the images of a run, and quickly filled.
const MOUNT_OPTIONS: &str = "size=64m,mode=755";
const FILLER: &str = "filler";

/// A mounted file system in memory.
pub(super) struct Disk {
    mount_point: PathBuf,
}

impl Disk {
    pub(super) fn mount(mount_point: &Path) -> Self {
        fs::create_dir_all(mount_point).expect("a mount point");
        let mut mount = Command::new(system("mount", "mount"));
        mount.args(["-t", "tmpfs", "-o", MOUNT_OPTIONS, "tmpfs"]).arg(mount_point);
        assert!(mount.status().expect("run mount").success(), "a file system in memory");
        Self { mount_point: mount_point.to_owned() }
    }

    /// Returns the worker's directory on the disk.
    pub(super) fn dir(&self) -> PathBuf {
        self.mount_point.join("work")
    }

    /// Writes until the disk is full.
    pub(super) fn fill(&self) {
        let mut file = File::create(self.mount_point.join(FILLER)).expect("a file");
        let block = vec![0; 1 << 16];
        while file.write_all(&block).is_ok() {}
    }

    /// Makes room again.
    pub(super) fn free(&self) {
        // The file does not exist if the disk was not filled.
        let _ = fs::remove_file(self.mount_point.join(FILLER));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let done = Command::new(system("umount", "mount")).arg(&self.mount_point).status();
        if !done.is_ok_and(|status| status.success()) && !std::thread::panicking() {
            panic!("{} is still in use", self.mount_point.display());
        }
    }
}
