//! The disk usage of a directory.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// The unit of a file's block count.
const BLOCK_BYTES: u64 = 512;

/// Returns the bytes on disk of all files below a directory. No link is followed, and files that vanish meanwhile do not
/// count.
#[must_use]
pub fn disk_usage(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    let sizes = entries.flatten().map(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => disk_usage(&entry.path()),
        _ => entry.metadata().map_or(0, |metadata| metadata.blocks() * BLOCK_BYTES),
    });
    sizes.sum()
}

/// Measures a directory on a blocking thread.
pub(crate) async fn measure(dir: &Path) -> u64 {
    let dir = dir.to_owned();
    tokio::task::spawn_blocking(move || disk_usage(&dir)).await.unwrap_or_default()
}

/// Waits until a directory takes more than `limit` bytes. The directory is measured once per `interval`, but less often if
/// it has so many files that measuring would take more than a tenth of the time.
pub(crate) async fn outgrown(dir: &Path, limit: u64, interval: Duration) {
    let mut pause = interval;
    loop {
        tokio::time::sleep(pause).await;
        let started = Instant::now();
        if measure(dir).await > limit {
            return;
        }
        pause = interval.max(started.elapsed() * 9);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn growth_beyond_the_limit_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let outgrown = outgrown(dir.path(), 4096, Duration::from_millis(1));
        tokio::pin!(outgrown);
        let early = tokio::time::timeout(Duration::from_millis(50), &mut outgrown).await;
        assert!(early.is_err());
        std::fs::write(dir.path().join("file"), [1; 20_000]).unwrap();
        outgrown.await;
    }
}
