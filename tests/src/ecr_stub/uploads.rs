//! Unfinished uploads of blobs. Received bytes are kept when a connection breaks, so that an upload can be resumed.

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::lock;

/// All unfinished uploads.
#[derive(Debug, Default)]
pub(super) struct Uploads {
    open: Mutex<BTreeMap<u64, Vec<u8>>>,
    count: Mutex<u64>,
}

impl Uploads {
    /// Begins an upload. Returns its number.
    pub(super) fn begin(&self) -> u64 {
        let mut count = lock(&self.count);
        *count += 1;
        lock(&self.open).insert(*count, Vec::new());
        *count
    }

    /// Returns the number of bytes received; `None` if there is no such upload.
    pub(super) fn len(&self, number: u64) -> Option<usize> {
        lock(&self.open).get(&number).map(Vec::len)
    }

    /// Appends received bytes to an upload.
    pub(super) fn append(&self, number: u64, bytes: &[u8]) {
        if let Some(all) = lock(&self.open).get_mut(&number) {
            all.extend_from_slice(bytes);
        }
    }

    /// Ends an upload. Returns its bytes.
    pub(super) fn end(&self, number: u64) -> Option<Vec<u8>> {
        lock(&self.open).remove(&number)
    }
}
