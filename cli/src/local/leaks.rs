//! Finds what a run left on the machine: processes, mounts, cgroups and files.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use rustix::process::{WaitOptions, getpid, set_child_subreaper, wait};

use super::LocalError;
use super::plan::WorkerPlan;

/// The directory of the workers' locks and mount points, shared by all workers of a machine.
const RUN_DIR: &str = "/run/trackyard";

/// Compares the machine before and after a run.
#[derive(Debug)]
pub(super) struct LeakDetector {
    /// Prefixes of the names of this run's locks and cgroups. Other workers of the machine do not count.
    prefixes: Vec<String>,
    before: BTreeSet<String>,
}

impl LeakDetector {
    /// Records the state before the run, and makes this process the parent of all orphans of its children.
    pub(super) fn new(workers: &[WorkerPlan]) -> Result<Self, LocalError> {
        set_child_subreaper(Some(getpid()))
            .map_err(|e| LocalError::system("become the parent of orphaned processes")(e.into()))?;
        let prefixes = workers.iter().map(|plan| format!("trackyard-{}-", plan.name())).collect();
        let mut detector = Self { prefixes, before: BTreeSet::new() };
        detector.before = detector.traces();
        Ok(detector)
    }

    /// Returns what exists now and did not before. First removes the workers' directory if it was not there before and
    /// is empty: then no worker is left that needs it.
    pub(super) fn leaks(&self) -> Vec<String> {
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
        for (kind, top, max_depth) in [("file", run, 3), ("cgroup", Path::new("/sys/fs/cgroup"), 8)] {
            visit(top, max_depth, &mut |path| {
                found.extend(self.is_own(path).then(|| format!("{kind} {}", path.display())));
            });
        }
        found
    }

    fn is_own(&self, path: &Path) -> bool {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        self.prefixes.iter().any(|prefix| name.starts_with(prefix))
    }
}

fn run_dir() -> String {
    format!("file {RUN_DIR}")
}

/// Removes the workers' directory, unless a worker is running. Its lock is in `workers`; removing its mount point would
/// detach its mounts in all mount namespaces.
fn remove_run_dir(dir: &Path) {
    let workers = dir.join("workers");
    if !workers.exists() || fs::remove_dir(&workers).is_ok() {
        remove_empty(dir, 3);
    }
}

/// Removes a directory that holds nothing but empty directories.
fn remove_empty(dir: &Path, depth: usize) {
    if depth > 0 {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            remove_empty(&entry.path(), depth - 1);
        }
    }
    // Fails for a file and for a directory that is not empty; both are then reported as left behind.
    let _ = fs::remove_dir(dir);
}

/// Returns the mount points of Trackyard, which all have its name in their path.
fn mounts_of(mountinfo: &str) -> impl Iterator<Item = &str> {
    mountinfo.lines().filter_map(|line| line.split(' ').nth(4)).filter(|point| point.contains("/trackyard"))
}

/// Reaps orphans that have ended. Must be called only when all children have been waited for.
fn reap() {
    while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
}

/// Returns the processes whose parent is this one, with their names.
fn children() -> Vec<String> {
    let own = getpid().to_string();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let stats = processes.filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
    stats.filter_map(|stat| child_of(&stat, &own)).collect()
}

/// Returns the number and name in a process's `stat`, if `parent` is its parent. A name may hold spaces and parentheses.
fn child_of(stat: &str, parent: &str) -> Option<String> {
    let (head, rest) = stat.rsplit_once(')')?;
    let (number, name) = head.split_once(" (")?;
    (rest.split_whitespace().nth(1) == Some(parent)).then(|| format!("{number} {name}"))
}

/// Calls `visitor` for everything below a directory, down to `depth`. Ignores what disappears meanwhile.
fn visit(dir: &Path, depth: usize, visitor: &mut impl FnMut(&Path)) {
    if depth == 0 {
        return;
    }
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        visitor(&entry.path());
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            visit(&entry.path(), depth - 1, visitor);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_are_found_by_stat() {
        assert_eq!(child_of("12 (a) b) S 7 1 1", "7").as_deref(), Some("12 a) b"));
        assert_eq!(child_of("12 (a) S 8 7 7", "7"), None);
        assert_eq!(child_of("", "7"), None);
    }

    #[test]
    fn own_mounts_are_found() {
        let table = "1 0 8:1 / / rw - ext4 x rw\n2 1 0:9 / /run/trackyard/mnt rw - tmpfs t rw";
        assert_eq!(mounts_of(table).collect::<Vec<_>>(), ["/run/trackyard/mnt"]);
    }

    #[test]
    fn other_workers_cgroups_are_ignored() {
        let workers = super::super::plan::all_workers(&[]);
        let detector = LeakDetector::new(&workers).unwrap();
        assert!(detector.is_own(Path::new("/sys/fs/cgroup/memory/trackyard-test-runners-0a1b2c3d")));
        assert!(!detector.is_own(Path::new("/sys/fs/cgroup/memory/trackyard-another-0a1b2c3d")));
    }

    #[test]
    fn dirs_with_files_are_kept() {
        let top = tempfile::tempdir().unwrap();
        for dir in ["empty/deep", "full"] {
            fs::create_dir_all(top.path().join(dir)).unwrap();
        }
        fs::write(top.path().join("full/lock"), "").unwrap();
        remove_empty(top.path(), 3);
        assert!(!top.path().join("empty").exists() && top.path().join("full/lock").exists());
    }

    #[test]
    fn a_running_child_is_found() {
        let mut child =
            std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        assert!(children().contains(&format!("{} cat", child.id())));
        drop(child.stdin.take());
        child.wait().unwrap();
    }
}
