//! Control groups of the machine, whichever version it has.

use std::fs;
use std::path::{Path, PathBuf};

/// The place of every mounted hierarchy.
#[must_use]
pub fn mounts() -> Vec<PathBuf> {
    all().into_iter().map(|(point, _)| point).collect()
}

/// Where a group is, for a controller; on version 2 all controllers are in one place.
#[must_use]
pub fn dir(controller: &str, group: &str) -> PathBuf {
    let mounts = all();
    let named = mounts.iter().find(|(_, options)| options.split(',').any(|option| option == controller));
    let point = named.map_or_else(|| PathBuf::from("/sys/fs/cgroup"), |(point, _)| point.clone());
    point.join(group.trim_start_matches('/'))
}

/// The directory of a process's group for a controller.
///
/// # Panics
/// When there is no such process.
#[must_use]
pub fn of(pid: u32, controller: &str) -> PathBuf {
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("a process's groups");
    let group = |wanted: &str| {
        groups.lines().find_map(|line| {
            let (names, path) = line.split_once(':')?.1.split_once(':')?;
            names.split(',').any(|name| name == wanted).then_some(path)
        })
    };
    dir(controller, group(controller).or_else(|| group("")).expect("a group"))
}

/// The content of the first of these files that there is.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn read(dir: &Path, names: &[&str]) -> String {
    let found = names.iter().find_map(|name| fs::read_to_string(dir.join(name)).ok());
    found.unwrap_or_else(|| unreachable!("none of {names:?} in {}", dir.display())).trim().to_owned()
}

/// Mount points and, of version 1, options.
fn all() -> Vec<(PathBuf, String)> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let parse = |line: &str| {
        let mut words = line.split(' ').skip(1);
        let (point, kind, options) = (words.next()?, words.next()?, words.next()?);
        match kind {
            "cgroup" => Some((point.into(), options.to_owned())),
            "cgroup2" => Some((point.into(), String::new())),
            _ => None,
        }
    };
    mounts.lines().filter_map(parse).collect()
}
