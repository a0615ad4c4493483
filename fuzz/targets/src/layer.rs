//! A layer as it comes from a registry. The input has a byte for the compression, a byte for the size of the chunks,
//! and then the layer.

use sha2::{Digest as _, Sha256};
use trackyard_images::{Compression, Layer};
use trackyard_protocol::version::Digest;
use trackyard_worker::fuzzing;
use trackyard_worker::store::StoreError;

use crate::tree::Tree;
use crate::unpack::limits;

/// Asserts that nothing is written outside, that a bomb ends, and that a bad layer is not taken for a broken machine.
pub fn run(bytes: &[u8]) {
    let [kind, chunk, bytes @ ..] = bytes else { return };
    let compression = match kind {
        b'g' => Compression::Gzip,
        b'z' => Compression::Zstd,
        _ => Compression::None,
    };
    let tree = Tree::new();
    let digest = Digest::from_sha256(&Sha256::digest(bytes).into());
    // The digest of the content is known only if the layer is not compressed.
    let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let layer = Layer { diff_id: digest.clone(), digest, size, compression };
    let limits = limits();
    let result = fuzzing::layer(bytes, usize::from(*chunk), &layer, tree.root(), &limits);
    let (_, written) = tree.check();
    assert!(written <= limits.bytes, "{written} bytes");
    match result {
        Err(StoreError::Io { what, source }) => panic!("cannot {what}: {source}"),
        Err(StoreError::Pull(error)) => panic!("every byte came: {error}"),
        _ => {}
    }
}
