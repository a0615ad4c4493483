//! Finds what jobs left behind on the machine: cgroups, mounts, processes.

use std::fs;
use std::path::{Path, PathBuf};

/// Returns the cgroups of jobs, in every hierarchy.
#[must_use]
pub fn cgroups() -> Vec<PathBuf> {
    let mut found = Vec::new();
    walk(Path::new("/sys/fs/cgroup"), 6, &mut found);
    found
}

fn walk(dir: &Path, depth: u32, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        let path = entry.path();
        if entry.file_name().to_string_lossy().contains("trackyard") && has_children(&path) {
            found.push(path);
        } else if depth > 0 {
            walk(&path, depth - 1, found);
        }
    }
}

/// Returns true if a group has child groups or processes. The project's own parent group may stay if it has neither.
fn has_children(group: &Path) -> bool {
    let processes = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    let children = fs::read_dir(group)
        .into_iter()
        .flatten()
        .flatten()
        .any(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    children || !processes.trim().is_empty()
}

/// Returns the mounts whose mount point or source names the project.
#[must_use]
pub fn mounts() -> Vec<String> {
    let text = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    text.lines().filter(|line| line.contains("trackyard")).map(ToOwned::to_owned).collect()
}

/// Returns the command lines of processes that belong to jobs.
#[must_use]
pub fn processes() -> Vec<String> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().bytes().all(|byte| byte.is_ascii_digit()))
        .filter_map(|entry| fs::read(entry.path().join("cmdline")).ok())
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .filter(|line| line.contains("/mnt/exercism-iteration"))
        .collect()
}

/// Returns the process whose command line is `line`, where each argument is followed by a space.
#[must_use]
pub fn find_process(line: &str) -> Option<u32> {
    fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let pid = entry.file_name().to_string_lossy().parse().ok()?;
        let args = fs::read(entry.path().join("cmdline")).ok()?;
        (String::from_utf8_lossy(&args).replace('\0', " ") == line).then_some(pid)
    })
}

/// Returns the command lines of all processes.
#[must_use]
pub fn commands() -> Vec<String> {
    let lines = fs::read_dir("/proc").into_iter().flatten().flatten();
    let lines = lines.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " ")).collect()
}

/// Returns all mounts that this process sees.
#[must_use]
pub fn all_mounts() -> Vec<String> {
    let text = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    text.lines().map(ToOwned::to_owned).collect()
}
