//! Decides which files a submission has, before a file is fetched or a path is made.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use trackyard_protocol::limits::Limits;
use trackyard_protocol::uri::is_plain_path;

use super::error::InputError;

/// Maximum depth of nested directories: each level takes a descriptor while owners are set.
pub(super) const MAX_DEPTH: usize = 64;
/// Maximum bytes of a path, the same as for a key of S3.
const MAX_PATH_BYTES: usize = 1024;

/// Limits on a submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InputLimits {
    /// Maximum number of files.
    pub files: u32,
    /// Maximum bytes of all files together.
    pub bytes: u64,
    /// Maximum number of files and directories: half of what the job directory holds, because the tool writes there
    /// too.
    pub entries: u32,
}

impl InputLimits {
    /// Returns the limits of a job.
    #[must_use]
    pub const fn of(limits: &Limits) -> Self {
        Self { files: limits.input_files, bytes: limits.input_bytes.0, entries: limits.job_inodes / 2 }
    }
}

/// The files of a submission, by their paths in the job directory.
#[derive(Debug)]
pub(crate) struct InputPlan {
    limits: InputLimits,
    files: BTreeMap<String, u64>,
    dirs: BTreeSet<String>,
    bytes: u64,
    listed: u64,
}

impl InputPlan {
    pub(crate) const fn new(limits: InputLimits) -> Self {
        Self { limits, files: BTreeMap::new(), dirs: BTreeSet::new(), bytes: 0, listed: 0 }
    }

    /// Adds a file by its path. A path that ends with a slash is the marker of a directory, which some S3 tools leave,
    /// and not a file.
    pub(crate) fn add(&mut self, path: &str, size: u64) -> Result<(), InputError> {
        // Bounds a listing that has only markers, or one name again and again.
        self.listed += 1;
        if self.listed > u64::from(self.limits.entries) + u64::from(self.limits.files) {
            return Err(self.too_many_entries());
        }
        if path.is_empty() || path.ends_with('/') {
            return Ok(());
        }
        if !is_plain_path(path) {
            return Err(InputError::unsafe_key(
                path,
                "it must be made of plain components, none of them empty, . or ..",
            ));
        }
        if path.len() > MAX_PATH_BYTES || path.matches('/').count() > MAX_DEPTH {
            let why = "it is longer than 1024 bytes, or in more than 64 directories";
            return Err(InputError::unsafe_key(path, why));
        }
        self.add_dirs(path)?;
        if self.dirs.contains(path) {
            return Err(file_and_dir(path));
        }
        if self.files.insert(path.to_owned(), size).is_some() {
            return Err(InputError::unsafe_key(path, "it is listed twice"));
        }
        self.bytes = self.bytes.saturating_add(size);
        self.check()
    }

    /// Returns the files, or an error if there are none. `source` names the source in that error.
    pub(crate) fn finish(self, source: impl FnOnce() -> String) -> Result<Vec<String>, InputError> {
        if self.files.is_empty() {
            return Err(InputError::Empty(source()));
        }
        Ok(self.files.into_keys().collect())
    }

    fn add_dirs(&mut self, path: &str) -> Result<(), InputError> {
        for (at, _) in path.match_indices('/') {
            let dir = path.get(..at).unwrap_or_default();
            if self.files.contains_key(dir) {
                return Err(file_and_dir(dir));
            }
            self.dirs.insert(dir.to_owned());
            if self.entries() > usize_of(self.limits.entries) {
                return Err(self.too_many_entries());
            }
        }
        Ok(())
    }

    fn check(&self) -> Result<(), InputError> {
        if self.files.len() > usize_of(self.limits.files) {
            Err(InputError::Count { what: "files", limit: self.limits.files })
        } else if self.entries() > usize_of(self.limits.entries) {
            Err(self.too_many_entries())
        } else if self.bytes > self.limits.bytes {
            Err(InputError::Size { limit: self.limits.bytes })
        } else {
            Ok(())
        }
    }

    fn entries(&self) -> usize {
        self.files.len() + self.dirs.len()
    }

    const fn too_many_entries(&self) -> InputError {
        InputError::Count { what: "files and directories", limit: self.limits.entries }
    }
}

fn file_and_dir(path: &str) -> InputError {
    InputError::unsafe_key(path, "it is a file and a directory at once")
}

fn usize_of(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// Counts the bytes that arrive, whatever size was announced. Clones share the count.
#[derive(Debug, Clone)]
pub(crate) struct ByteBudget {
    limit: u64,
    used: Arc<AtomicU64>,
}

impl ByteBudget {
    pub(crate) fn new(limit: u64) -> Self {
        Self { limit, used: Arc::default() }
    }

    pub(crate) fn take(&self, bytes: usize) -> Result<(), InputError> {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let before = self.used.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) > self.limit {
            return Err(InputError::Size { limit: self.limit });
        }
        Ok(())
    }

    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;
    use trackyard_protocol::reason::Reason;

    const LIMITS: InputLimits = InputLimits { files: 3, bytes: 100, entries: 5 };

    fn plan(files: &[(&str, u64)]) -> Result<Vec<String>, Reason> {
        let mut plan = InputPlan::new(LIMITS);
        files
            .iter()
            .try_for_each(|(path, size)| plan.add(path, *size))
            .and_then(|()| plan.finish(String::new))
            .map_err(|error| error.reason())
    }

    #[rstest]
    #[case(&[("a.rb", 1), ("lib/b.rb", 2)], Ok(2))]
    #[case(&[("", 0), ("lib/", 0), ("lib/b.rb", 2)], Ok(1))]
    #[case(&[("a", 50), ("b", 50)], Ok(2))]
    #[case(&[], Err(Reason::BadUri))]
    #[case(&[("lib/", 0)], Err(Reason::BadUri))]
    #[case(&[("../a", 1)], Err(Reason::UnsafeKey))]
    #[case(&[("/a", 1)], Err(Reason::UnsafeKey))]
    #[case(&[("a//b", 1)], Err(Reason::UnsafeKey))]
    #[case(&[("a/./b", 1)], Err(Reason::UnsafeKey))]
    #[case(&[("a\0b", 1)], Err(Reason::UnsafeKey))]
    #[case(&[("a\nb", 1)], Err(Reason::UnsafeKey))]
    #[case(&[("a\\..\\b", 1)], Err(Reason::UnsafeKey))]
    #[case(&[("a", 1), ("a/b", 1)], Err(Reason::UnsafeKey))]
    #[case(&[("a/b", 1), ("a", 1)], Err(Reason::UnsafeKey))]
    #[case(&[("a/b/c", 1), ("a/b", 1)], Err(Reason::UnsafeKey))]
    #[case(&[("a", 1), ("a", 1)], Err(Reason::UnsafeKey))]
    #[case(&[("a", 1), ("b", 1), ("c", 1), ("d", 1)], Err(Reason::InputCount))]
    #[case(&[("1/2/3/4/5/6", 1)], Err(Reason::InputCount))]
    #[case(&[("a", 101)], Err(Reason::InputSize))]
    #[case(&[("a", 51), ("b", 50)], Err(Reason::InputSize))]
    #[case(&[("a", u64::MAX), ("b", u64::MAX)], Err(Reason::InputSize))]
    fn plans(#[case] files: &[(&str, u64)], #[case] expected: Result<usize, Reason>) {
        assert_eq!(plan(files).map(|files| files.len()), expected);
    }

    #[rstest]
    #[case("a/".repeat(MAX_DEPTH) + "b", true)]
    #[case("a/".repeat(MAX_DEPTH + 1) + "b", false)]
    #[case(format!("{}/", "a".repeat(127)).repeat(7) + &"b".repeat(128), true)]
    #[case(format!("{}/", "a".repeat(127)).repeat(7) + &"b".repeat(129), false)]
    fn paths_are_bounded(#[case] path: String, #[case] accepted: bool) {
        let mut plan = InputPlan::new(InputLimits { entries: 1000, ..LIMITS });
        let added = plan.add(&path, 1).map_err(|error| error.reason());
        assert_eq!(added, if accepted { Ok(()) } else { Err(Reason::UnsafeKey) });
    }

    #[test]
    fn a_listing_of_markers_ends() {
        assert_eq!(plan(&[("x/", 0); 9]), Err(Reason::InputCount));
    }

    proptest! {
        #[test]
        fn planned_paths_are_plain(paths in prop::collection::vec("[a-c./\\\\\0]{0,8}", 0..4)) {
            let files: Vec<(&str, u64)> = paths.iter().map(|path| (path.as_str(), 1)).collect();
            for path in plan(&files).unwrap_or_default() {
                prop_assert!(is_plain_path(&path));
            }
        }

        #[test]
        fn a_budget_is_never_exceeded(takes in prop::collection::vec(0_usize..50, 0..20)) {
            let budget = ByteBudget::new(100);
            let granted: usize = takes.iter().map_while(|n| budget.take(*n).ok().map(|()| *n)).sum();
            prop_assert!(granted <= 100);
        }
    }
}
