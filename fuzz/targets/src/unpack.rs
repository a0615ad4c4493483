//! A layer's tar stream, unpacked on top of another layer. The checksums of its headers are corrected, because the
//! unpacker looks no further at a header with a wrong one.

use trackyard_worker::fuzzing;
use trackyard_worker::store::{LayerLimits, StoreError};

use crate::tree::Tree;

const BLOCK: usize = 512;

/// Returns limits that a short input can reach.
#[must_use]
pub fn limits() -> LayerLimits {
    let defaults = LayerLimits::default();
    LayerLimits { entries: 64, bytes: 64 << 10, path: 1024, depth: 16, header: 8192, directory_names: 4096, ..defaults }
}

/// Asserts that nothing is written outside, that the limits hold, and that a bad layer is not taken for a broken
/// machine.
pub fn run(bytes: &[u8]) {
    let tree = Tree::new();
    let limits = limits();
    let result = fuzzing::unpack(&with_checksums(bytes), tree.root(), vec![tree.lower()], &limits);
    let (nodes, written) = tree.check();
    assert!(written <= limits.bytes && nodes <= limits.entries * 32, "{nodes} nodes, {written} bytes");
    if let Err(StoreError::Io { what, source }) = result {
        panic!("cannot {what}: {source}");
    }
}

/// Returns the stream with the right checksum in every header, as far as headers can be found.
#[must_use]
pub fn with_checksums(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let mut at = 0;
    while let Some(block) = bytes.get_mut(at..at + BLOCK) {
        if block.iter().any(|byte| *byte != 0) {
            let mut header = tar::Header::new_old();
            header.as_mut_bytes().copy_from_slice(block);
            header.set_cksum();
            block.copy_from_slice(header.as_bytes());
            let size = header.entry_size().ok().and_then(|size| usize::try_from(size).ok()).unwrap_or(0);
            at = at.saturating_add(size.min(bytes.len()).next_multiple_of(BLOCK));
        }
        at += BLOCK;
    }
    bytes
}
