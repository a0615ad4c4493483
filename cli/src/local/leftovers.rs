//! What a run left on the machine: processes, mounts, cgroups, files.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use rustix::process::{WaitOptions, getpid, set_child_subreaper, wait};

use super::Error;

/// Where workers keep locks and mount points: one folder for all workers of a machine.
const RUN_FOLDER: &str = "/run/trackyard";

/// Everything on this machine that a run could leave.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Traces(BTreeSet<String>);

impl Traces {
    /// Looks, and makes this process the parent of whatever its parts leave behind.
    pub(super) fn before() -> Result<Self, Error> {
        set_child_subreaper(Some(getpid())).map_err(|e| Error::system("look after processes")(e.into()))?;
        Ok(Self::now())
    }

    /// What is there now and was not before. The workers' folder is removed first, if it was not there either and
    /// has nothing in it: no worker is left that would need it.
    pub(super) fn new_since(before: &Self) -> Vec<String> {
        reap();
        if !before.0.contains(&format!("file {RUN_FOLDER}")) {
            remove_empty(Path::new(RUN_FOLDER), 3);
        }
        Self::now().0.difference(&before.0).cloned().collect()
    }

    fn now() -> Self {
        let mut found = BTreeSet::new();
        found.extend(children().into_iter().map(|process| format!("process {process}")));
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        found.extend(mounts_of(&mounts).map(|mount| format!("mount {mount}")));
        below(Path::new("/sys/fs/cgroup"), 6, &mut |path| {
            let name = path.file_name().map(std::ffi::OsStr::as_encoded_bytes).unwrap_or_default();
            let ours = name.starts_with(b"trackyard") && path.is_dir();
            found.extend(ours.then(|| format!("cgroup {}", path.display())));
        });
        let run = Path::new(RUN_FOLDER);
        found.extend(run.exists().then(|| format!("file {RUN_FOLDER}")));
        below(run, 3, &mut |path| found.extend([format!("file {}", path.display())]));
        Self(found)
    }
}

/// Removes folders that hold nothing but such folders.
fn remove_empty(folder: &Path, depth: usize) {
    if depth > 0 {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            remove_empty(&entry.path(), depth - 1);
        }
    }
    // Refused for a file, and for a folder that is not empty: then it is reported as left behind.
    let _ = fs::remove_dir(folder);
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

/// Sees everything below a folder; what goes away meanwhile is not there.
fn below(folder: &Path, depth: usize, see: &mut impl FnMut(&Path)) {
    if depth == 0 {
        return;
    }
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
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
    fn only_folders_without_files_are_removed() {
        let top = tempfile::tempdir().unwrap();
        for folder in ["empty/deep", "full"] {
            fs::create_dir_all(top.path().join(folder)).unwrap();
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
