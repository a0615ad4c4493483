//! The times that directories get at the end, with a bound on the memory that remembering them takes.

use std::path::PathBuf;

use super::limits::LayerLimits;
use super::rejection::Rejection;

pub(crate) struct Dirs {
    times: Vec<(PathBuf, (i64, u32))>,
    bytes: usize,
    limit: usize,
}

impl Dirs {
    pub(crate) const fn new(limits: &LayerLimits) -> Self {
        Self { times: Vec::new(), bytes: 0, limit: limits.directory_names }
    }

    pub(crate) fn add(&mut self, path: PathBuf, mtime: (i64, u32)) -> Result<(), Rejection> {
        self.bytes += path.as_os_str().len() + size_of::<(PathBuf, (i64, u32))>();
        if self.bytes > self.limit {
            return Err(Rejection::DirectoryNames(self.limit));
        }
        self.times.push((path, mtime));
        Ok(())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &(PathBuf, (i64, u32))> {
        self.times.iter()
    }
}
