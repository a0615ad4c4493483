//! Sets files' times to that of the commit, so that the same commit makes the same layers.

use std::fs::read_dir;
use std::io;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};

/// Sets the times of a directory and everything in it. Links are not followed.
pub(super) fn set_times(dir: &Path, seconds: u64) -> io::Result<()> {
    for entry in read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            set_times(&entry.path(), seconds)?;
        } else {
            set_time(&entry.path(), seconds)?;
        }
    }
    set_time(dir, seconds)
}

fn set_time(path: &Path, seconds: u64) -> io::Result<()> {
    let tv_sec = i64::try_from(seconds).unwrap_or_default();
    let time = Timespec { tv_sec, tv_nsec: 0 };
    let times = Timestamps { last_access: time, last_modification: time };
    Ok(utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}
