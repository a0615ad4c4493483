//! Which files a submission has, decided before a single one is fetched or any path is made.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use trackyard_protocol::limits::Limits;
use trackyard_protocol::uri::is_plain_path;

use super::error::InputError;

/// Directories within directories, at most: each takes descriptors while its owner is set.
pub(super) const MAX_DEPTH: usize = 64;
/// Bytes of a path, at most: as many as a key of S3 has.
const MAX_PATH: usize = 1024;

/// How much a submission may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InputLimits {
    /// Files.
    pub files: u32,
    /// Bytes, all files together.
    pub bytes: u64,
    /// Files and directories: half of what the job directory holds, for the tool writes there too.
    pub entries: u32,
}

impl InputLimits {
    /// Those of a job.
    #[must_use]
    pub const fn of(limits: &Limits) -> Self {
        Self { files: limits.input_files, bytes: limits.input_bytes.0, entries: limits.job_inodes / 2 }
    }
}

/// The files of a submission by their paths in the job directory.
#[derive(Debug)]
pub(crate) struct InputPlan {
    caps: InputLimits,
    files: BTreeMap<String, u64>,
    dirs: BTreeSet<String>,
    bytes: u64,
    seen: u64,
}

impl InputPlan {
    pub(crate) const fn new(caps: InputLimits) -> Self {
        Self { caps, files: BTreeMap::new(), dirs: BTreeSet::new(), bytes: 0, seen: 0 }
    }

    /// Adds a file by its path. A path that ends with a slash marks a directory, as some S3 tools leave it; it is no file.
    pub(crate) fn add(&mut self, path: &str, size: u64) -> Result<(), InputError> {
        // Whoever lists only markers, or one name again and again, comes to an end too.
        self.seen += 1;
        if self.seen > u64::from(self.caps.entries) + u64::from(self.caps.files) {
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
        if path.len() > MAX_PATH || path.matches('/').count() > MAX_DEPTH {
            let why = "it is longer than 1024 bytes, or in more than 64 directories";
            return Err(InputError::unsafe_key(path, why));
        }
        self.add_dirs(path)?;
        if self.dirs.contains(path) {
            return Err(both(path));
        }
        if self.files.insert(path.to_owned(), size).is_some() {
            return Err(InputError::unsafe_key(path, "it is listed twice"));
        }
        self.bytes = self.bytes.saturating_add(size);
        self.check()
    }

    /// The files, if there is at least one; `what` says of what there is none.
    pub(crate) fn finish(self, what: impl FnOnce() -> String) -> Result<Vec<String>, InputError> {
        if self.files.is_empty() {
            return Err(InputError::Empty(what()));
        }
        Ok(self.files.into_keys().collect())
    }

    fn add_dirs(&mut self, path: &str) -> Result<(), InputError> {
        for (at, _) in path.match_indices('/') {
            let dir = path.get(..at).unwrap_or_default();
            if self.files.contains_key(dir) {
                return Err(both(dir));
            }
            self.dirs.insert(dir.to_owned());
            if self.entries() > usize_of(self.caps.entries) {
                return Err(self.too_many_entries());
            }
        }
        Ok(())
    }

    fn check(&self) -> Result<(), InputError> {
        if self.files.len() > usize_of(self.caps.files) {
            Err(InputError::Count { what: "files", limit: self.caps.files })
        } else if self.entries() > usize_of(self.caps.entries) {
            Err(self.too_many_entries())
        } else if self.bytes > self.caps.bytes {
            Err(InputError::Size { limit: self.caps.bytes })
        } else {
            Ok(())
        }
    }

    fn entries(&self) -> usize {
        self.files.len() + self.dirs.len()
    }

    const fn too_many_entries(&self) -> InputError {
        InputError::Count { what: "files and directories", limit: self.caps.entries }
    }
}

fn both(path: &str) -> InputError {
    InputError::unsafe_key(path, "it is a file and a directory at once")
}

fn usize_of(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// Bytes that may still come, whatever was announced. Clones share it.
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

    const CAPS: InputLimits = InputLimits { files: 3, bytes: 100, entries: 5 };

    fn plan(files: &[(&str, u64)]) -> Result<Vec<String>, Reason> {
        let mut plan = InputPlan::new(CAPS);
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
    fn a_path_is_bounded(#[case] path: String, #[case] taken: bool) {
        let mut plan = InputPlan::new(InputLimits { entries: 1000, ..CAPS });
        let added = plan.add(&path, 1).map_err(|error| error.reason());
        assert_eq!(added, if taken { Ok(()) } else { Err(Reason::UnsafeKey) });
    }

    #[test]
    fn a_listing_of_nothing_but_markers_ends() {
        assert_eq!(plan(&[("x/", 0); 9]), Err(Reason::InputCount));
    }

    proptest! {
        #[test]
        fn what_is_planned_is_plain(paths in prop::collection::vec("[a-c./\\\\\0]{0,8}", 0..4)) {
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
