//! A listing of a submission: on each line a key, a tab and its size.

use std::collections::BTreeSet;

use trackyard_protocol::uri::is_plain_path;
use trackyard_worker::fuzzing::plan;
use trackyard_worker::input::InputLimits;

/// Asserts that planned files have distinct plain paths, that none is another's directory, and that all are within the
/// limits.
pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let listing: Vec<(&str, u64)> = text
        .split('\n')
        .map(|line| line.rsplit_once('\t').unwrap_or((line, "1")))
        .map(|(path, size)| (path, size.parse().unwrap_or(u64::MAX)))
        .collect();
    let limits = InputLimits { files: 8, bytes: 1000, entries: 16 };
    let Ok(files) = plan(limits, &listing) else { return };
    let set: BTreeSet<&str> = files.iter().map(String::as_str).collect();
    let dirs: BTreeSet<&str> =
        files.iter().flat_map(|file| file.match_indices('/').filter_map(|(at, _)| file.get(..at))).collect();
    assert!((1..=8).contains(&files.len()) && set.len() == files.len());
    assert!(files.iter().all(|file| is_plain_path(file)));
    assert!(set.is_disjoint(&dirs) && set.len() + dirs.len() <= 16);
    let size: u64 = listing.iter().filter(|(path, _)| set.contains(path)).map(|(_, size)| size).sum();
    assert!(size <= 1000);
}
