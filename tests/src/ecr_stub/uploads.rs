//! Blobs on their way in. What came stays, also when the connection breaks, so that an upload can go on.

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::lock;

/// All that are open.
#[derive(Debug, Default)]
pub(super) struct Uploads {
    open: Mutex<BTreeMap<u64, Vec<u8>>>,
    count: Mutex<u64>,
}

impl Uploads {
    /// A new one's number.
    pub(super) fn begin(&self) -> u64 {
        let mut count = lock(&self.count);
        *count += 1;
        lock(&self.open).insert(*count, Vec::new());
        *count
    }

    /// How much of it came; `None` if it is not open.
    pub(super) fn len(&self, number: u64) -> Option<usize> {
        lock(&self.open).get(&number).map(Vec::len)
    }

    /// More of it came.
    pub(super) fn append(&self, number: u64, bytes: &[u8]) {
        if let Some(all) = lock(&self.open).get_mut(&number) {
            all.extend_from_slice(bytes);
        }
    }

    /// All of it; it is not open any more.
    pub(super) fn end(&self, number: u64) -> Option<Vec<u8>> {
        lock(&self.open).remove(&number)
    }
}
