//! The machine's cgroups, version 1 or 2.

use std::fs;
use std::path::{Path, PathBuf};

/// Returns the mount point of every hierarchy.
#[must_use]
pub fn mount_points() -> Vec<PathBuf> {
    hierarchies().into_iter().map(|(point, _)| point).collect()
}

/// Returns the directory of a group for a controller; on version 2 all controllers share one directory.
#[must_use]
pub fn dir(controller: &str, group: &str) -> PathBuf {
    let mounts = hierarchies();
    let named = mounts.iter().find(|(_, options)| options.split(',').any(|option| option == controller));
    let point = named.map_or_else(|| PathBuf::from("/sys/fs/cgroup"), |(point, _)| point.clone());
    point.join(group.trim_start_matches('/'))
}

/// Returns the directory of a process's group for a controller.
///
/// # Panics
/// When there is no such process.
#[must_use]
pub fn of_process(pid: u32, controller: &str) -> PathBuf {
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("a process's groups");
    let group = |wanted: &str| {
        groups.lines().find_map(|line| {
            let (names, path) = line.split_once(':')?.1.split_once(':')?;
            names.split(',').any(|name| name == wanted).then_some(path)
        })
    };
    dir(controller, group(controller).or_else(|| group("")).expect("a group"))
}

/// Returns the content of the first of these files that exists, trimmed.
///
/// # Panics
/// When none of them exists.
#[must_use]
pub fn read_first(dir: &Path, names: &[&str]) -> String {
    let found = names.iter().find_map(|name| fs::read_to_string(dir.join(name)).ok());
    found.unwrap_or_else(|| panic!("none of {names:?} in {}", dir.display())).trim().to_owned()
}

/// Returns the mount point of each hierarchy, with its mount options on version 1.
fn hierarchies() -> Vec<(PathBuf, String)> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let parse = |line: &str| {
        let mut fields = line.split(' ').skip(1);
        let point = fields.next()?;
        let kind = fields.next()?;
        let options = fields.next()?;
        match kind {
            "cgroup" => Some((point.into(), options.to_owned())),
            "cgroup2" => Some((point.into(), String::new())),
            _ => None,
        }
    };
    mounts.lines().filter_map(parse).collect()
}
