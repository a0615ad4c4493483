//! Operations on the directory of one cgroup.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::sandbox::error::SandboxError;

/// How long killed processes may take to be gone.
const KILL_TIMEOUT: Duration = Duration::from_secs(5);
/// Interval at which a group is looked at again.
pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(1);

pub(super) fn make(dir: &Path) -> Result<(), SandboxError> {
    match fs::create_dir(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(SandboxError::cgroup(format!("make {}", dir.display()))(error))
        }
        _ => Ok(()),
    }
}

pub(super) fn write(file: &Path, value: &str) -> Result<(), SandboxError> {
    fs::write(file, value).map_err(SandboxError::cgroup(format!("write {value} to {}", file.display())))
}

/// Removes a group with all groups below it, as many as can be removed. A group that is gone already is not an error.
pub(super) fn remove_tree(dir: &Path) -> io::Result<()> {
    let removed: Vec<io::Result<()>> = subtree(dir).iter().map(|group| kill_and_remove(group)).collect();
    removed.into_iter().collect()
}

fn kill_and_remove(dir: &Path) -> io::Result<()> {
    kill(dir);
    wait_until_empty(dir)?;
    remove(dir)
}

/// Returns a group and all groups below it, the deepest first.
pub(super) fn subtree(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let groups = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut all: Vec<PathBuf> = groups.flat_map(|entry| subtree(&entry.path())).collect();
    all.push(dir.to_owned());
    all
}

/// Sends SIGKILL to all processes of one group, and returns their ids.
pub(super) fn kill(dir: &Path) -> Vec<Pid> {
    let found = processes(dir);
    // Version 1 has no such file. Killing each process is enough there: a container's first process takes the others
    // with it.
    let file = fs::OpenOptions::new().write(true).open(dir.join("cgroup.kill"));
    let _ = file.and_then(|mut file| file.write_all(b"1"));
    for pid in &found {
        let _ = kill_process(*pid, Signal::KILL);
    }
    found
}

/// Waits until killed processes are gone, and kills those that came meanwhile.
pub(super) fn wait_until_empty(dir: &Path) -> io::Result<()> {
    let deadline = Instant::now() + KILL_TIMEOUT;
    while !processes(dir).is_empty() {
        if Instant::now() > deadline {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "killed processes do not end"));
        }
        std::thread::sleep(POLL_INTERVAL);
        kill(dir);
    }
    Ok(())
}

/// Removes an empty group. The kernel may keep it for a moment after its last process.
pub(super) fn remove(dir: &Path) -> io::Result<()> {
    let deadline = Instant::now() + KILL_TIMEOUT;
    loop {
        match fs::remove_dir(dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy && Instant::now() < deadline => {
                std::thread::sleep(POLL_INTERVAL);
            }
            other => return other,
        }
    }
}

/// Returns the processes in a group.
pub(super) fn processes(dir: &Path) -> Vec<Pid> {
    let text = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).filter_map(Pid::from_raw).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stuck_group_does_not_keep_others() {
        let root = tempfile::tempdir().unwrap();
        let slots = root.path().join("trackyard-w");
        fs::create_dir_all(slots.join("slot-0/job")).unwrap();
        fs::create_dir_all(slots.join("slot-1/job")).unwrap();
        // Unlike a real group, a plain directory is kept by the file in it.
        fs::write(slots.join("slot-0/job/file"), "").unwrap();
        assert!(remove_tree(&slots).is_err());
        assert!(slots.join("slot-0/job").exists() && !slots.join("slot-1").exists());
        assert!(remove_tree(&root.path().join("gone")).is_ok());
    }
}
