//! Processes that a dead worker has left running beside its jobs, such as a `runc` that was about to start one.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, getpid, kill_process};

/// How long killed processes may take to be gone.
const KILL_TIMEOUT: Duration = Duration::from_secs(5);

/// Kills all other processes in this one's mount namespace, which the worker has made for itself. Jobs have their own
/// namespaces.
pub(super) fn kill() {
    let deadline = Instant::now() + KILL_TIMEOUT;
    while Instant::now() < deadline {
        let found = in_same_namespace(Path::new("/proc"), getpid());
        if found.is_empty() {
            return;
        }
        for pid in found {
            let _ = kill_process(pid, Signal::KILL);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Returns the other processes that have the mount namespace of `own`.
fn in_same_namespace(proc: &Path, own: Pid) -> Vec<Pid> {
    let namespace = |name: &OsString| fs::read_link(proc.join(name).join("ns/mnt")).ok();
    let Some(ours) = namespace(&own.to_string().into()) else { return Vec::new() };
    let entries = fs::read_dir(proc).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let others = entries.filter(|name| namespace(name).as_ref() == Some(&ours));
    let pids = others.filter_map(|name| name.to_str()?.parse().ok()).filter_map(Pid::from_raw);
    pids.filter(|pid| *pid != own).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn only_the_same_namespace_is_searched() {
        let proc = tempfile::tempdir().unwrap();
        let namespaces = [("7", "mnt:[1]"), ("8", "mnt:[1]"), ("9", "mnt:[2]"), ("self", "mnt:[1]")];
        for (name, namespace) in namespaces {
            fs::create_dir_all(proc.path().join(name).join("ns")).unwrap();
            symlink(namespace, proc.path().join(name).join("ns/mnt")).unwrap();
        }
        // A process that has exited has no namespace any more.
        fs::create_dir_all(proc.path().join("10/ns")).unwrap();
        let pid = |number| Pid::from_raw(number).unwrap();
        assert_eq!(in_same_namespace(proc.path(), pid(7)), [pid(8)]);
        assert_eq!(in_same_namespace(proc.path(), pid(10)), []);
    }
}
