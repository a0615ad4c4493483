//! What a run left on the machine: processes, mounts, cgroups, files.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use rustix::process::{WaitOptions, getpid, set_child_subreaper, wait};

use super::Error;
use super::plan::WorkerPlan;

/// Where workers keep locks and mount points: one directory for all workers of a machine.
const RUN_DIR: &str = "/run/trackyard";

/// Looks for what a run leaves.
#[derive(Debug)]
pub(super) struct Lookout {
    /// Locks and control groups of these workers begin so; other workers of this machine come and go as they like.
    prefixes: Vec<String>,
    before: BTreeSet<String>,
}

impl Lookout {
    /// Looks for the first time, and makes this process the parent of whatever its parts leave behind.
    pub(super) fn new(workers: &[WorkerPlan]) -> Result<Self, Error> {
        set_child_subreaper(Some(getpid())).map_err(|e| Error::system("look after processes")(e.into()))?;
        let prefixes = workers.iter().map(|plan| format!("trackyard-{}-", plan.name())).collect();
        let first = Self { prefixes, before: BTreeSet::new() };
        Ok(Self { before: first.traces(), ..first })
    }

    /// What is there now and was not before. The workers' directory is removed first, if it was not there either and
    /// has nothing in it: then no worker is left that would need it.
    pub(super) fn left(&self) -> Vec<String> {
        reap();
        if !self.before.contains(&run_dir()) {
            remove_run_dir(Path::new(RUN_DIR));
        }
        self.traces().difference(&self.before).cloned().collect()
    }

    fn traces(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        found.extend(children().into_iter().map(|process| format!("process {process}")));
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        found.extend(mounts_of(&mounts).map(|mount| format!("mount {mount}")));
        let run = Path::new(RUN_DIR);
        found.extend(run.exists().then(run_dir));
        for (kind, top, depth) in [("file", run, 3), ("cgroup", Path::new("/sys/fs/cgroup"), 8)] {
            below(top, depth, &mut |path| {
                found.extend(self.is_ours(path).then(|| format!("{kind} {}", path.display())));
            });
        }
        found
    }

    fn is_ours(&self, path: &Path) -> bool {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        self.prefixes.iter().any(|prefix| name.starts_with(prefix))
    }
}

fn run_dir() -> String {
    format!("file {RUN_DIR}")
}

/// Removes the workers' directory unless one lives: its lock is in `workers`, and removing its mount point would take
/// its mounts away, whichever mount namespace they are in.
fn remove_run_dir(dir: &Path) {
    let workers = dir.join("workers");
    if !workers.exists() || fs::remove_dir(&workers).is_ok() {
        remove_empty(dir, 3);
    }
}

/// Removes directories that hold nothing but such directories.
fn remove_empty(dir: &Path, depth: usize) {
    if depth > 0 {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            remove_empty(&entry.path(), depth - 1);
        }
    }
    // Refused for a file, and for a directory that is not empty: then it is reported as left behind.
    let _ = fs::remove_dir(dir);
}

/// The mount points of ours: all have the project's name in their path.
fn mounts_of(mountinfo: &str) -> impl Iterator<Item = &str> {
    mountinfo.lines().filter_map(|line| line.split(' ').nth(4)).filter(|point| point.contains("/trackyard"))
}

/// Waits for processes that ended after their parents; only called when all parts have ended.
fn reap() {
    while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
}

/// The processes whose parent this is, with their names.
fn children() -> Vec<String> {
    let own = getpid().to_string();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let stats = processes.filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
    stats.filter_map(|stat| child_of(&stat, &own)).collect()
}

/// The number and name in a process's `stat`, if `parent` is its parent. A name may hold spaces and parentheses.
fn child_of(stat: &str, parent: &str) -> Option<String> {
    let (head, rest) = stat.rsplit_once(')')?;
    let (number, name) = head.split_once(" (")?;
    (rest.split_whitespace().nth(1) == Some(parent)).then(|| format!("{number} {name}"))
}

/// Sees everything below a directory; what goes away meanwhile is not there.
fn below(dir: &Path, depth: usize, see: &mut impl FnMut(&Path)) {
    if depth == 0 {
        return;
    }
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        see(&entry.path());
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            below(&entry.path(), depth - 1, see);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_is_known_by_its_stat() {
        assert_eq!(child_of("12 (a) b) S 7 1 1", "7").as_deref(), Some("12 a) b"));
        assert_eq!(child_of("12 (a) S 8 7 7", "7"), None);
        assert_eq!(child_of("", "7"), None);
    }

    #[test]
    fn mounts_of_ours_are_found() {
        let table = "1 0 8:1 / / rw - ext4 x rw\n2 1 0:9 / /run/trackyard/mnt rw - tmpfs t rw";
        assert_eq!(mounts_of(table).collect::<Vec<_>>(), ["/run/trackyard/mnt"]);
    }

    #[test]
    fn only_what_its_own_workers_leave_counts() {
        let workers = super::super::plan::all_workers(&[]);
        let lookout = Lookout::new(&workers).unwrap();
        assert!(lookout.is_ours(Path::new("/sys/fs/cgroup/memory/trackyard-test-runners-0a1b2c3d")));
        assert!(!lookout.is_ours(Path::new("/sys/fs/cgroup/memory/trackyard-another-0a1b2c3d")));
    }

    #[test]
    fn only_dirs_without_files_are_removed() {
        let top = tempfile::tempdir().unwrap();
        for dir in ["empty/deep", "full"] {
            fs::create_dir_all(top.path().join(dir)).unwrap();
        }
        fs::write(top.path().join("full/lock"), "").unwrap();
        remove_empty(top.path(), 3);
        assert!(!top.path().join("empty").exists() && top.path().join("full/lock").exists());
    }

    #[test]
    fn this_process_sees_its_own_child() {
        let mut child =
            std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        assert!(children().contains(&format!("{} cat", child.id())));
        drop(child.stdin.take());
        child.wait().unwrap();
    }
}
