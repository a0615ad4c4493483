//! What a directory takes.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What the kernel calls a block.
const BLOCK: u64 = 512;

/// Bytes on disk of all files below a directory, no link followed. What goes away meanwhile does not count.
#[must_use]
pub fn of(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    let sizes = entries.flatten().map(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => of(&entry.path()),
        _ => entry.metadata().map_or(0, |metadata| metadata.blocks() * BLOCK),
    });
    sizes.sum()
}
