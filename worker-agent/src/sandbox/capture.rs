//! Reads a container's standard output and error to the end, counts the bytes and keeps the first part.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Maximum bytes kept of each stream.
pub const MAX_CAPTURED: usize = 64 << 10;
/// How long a stream may stay open after its last writer was killed.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// What a container wrote to one stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Captured {
    /// The first [`MAX_CAPTURED`] bytes.
    pub bytes: Vec<u8>,
    /// Number of bytes that were read, kept or not.
    pub total: u64,
    /// True if not all bytes are kept.
    pub truncated: bool,
}

impl Captured {
    fn add(&mut self, chunk: &[u8]) {
        let room = MAX_CAPTURED.saturating_sub(self.bytes.len());
        self.bytes.extend(chunk.iter().take(room));
        self.total = self.total.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
        self.truncated |= chunk.len() > room;
    }
}

/// A stream that is being read.
pub(crate) struct Capture {
    reader: JoinHandle<Captured>,
    exceeded: CancellationToken,
}

impl Capture {
    /// Starts to read a new pipe, and returns its other end for the container. `owner` is the container's root, which
    /// may open that end again by name (`/dev/stdout`).
    pub(crate) fn start(limit: u64, owner: u32) -> io::Result<(Self, OwnedFd)> {
        let (read_end, write_end) = io::pipe()?;
        let uid = rustix::fs::Uid::from_raw(owner);
        let gid = rustix::fs::Gid::from_raw(owner);
        rustix::fs::fchown(&write_end, Some(uid), Some(gid))?;
        let receiver = Receiver::from_owned_fd(read_end.into())?;
        let exceeded = CancellationToken::new();
        let reader = tokio::spawn(read(receiver, limit, exceeded.clone()));
        Ok((Self { reader, exceeded }, write_end.into()))
    }

    /// Waits until more than the limit has been written.
    pub(crate) async fn exceeded(&self) {
        self.exceeded.cancelled().await;
    }

    /// Returns what was written. Call it when no process of the container is left.
    pub(crate) async fn finish(mut self) -> Captured {
        match tokio::time::timeout(CLOSE_TIMEOUT, &mut self.reader).await {
            Ok(Ok(captured)) => captured,
            Ok(Err(_)) | Err(_) => {
                self.reader.abort();
                tracing::error!("a container's output stayed open after its end");
                Captured { truncated: true, ..Captured::default() }
            }
        }
    }
}

async fn read(mut receiver: Receiver, limit: u64, exceeded: CancellationToken) -> Captured {
    let mut captured = Captured::default();
    let mut chunk = vec![0; MAX_CAPTURED];
    while let Ok(count @ 1..) = receiver.read(&mut chunk).await {
        captured.add(chunk.get(..count).unwrap_or_default());
        if captured.total > limit {
            exceeded.cancel();
        }
    }
    captured
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[tokio::test]
    async fn exactly_the_limit_is_allowed() {
        let owner = rustix::process::getuid().as_raw();
        let (capture, write_end) = Capture::start(100_000, owner).unwrap();
        let write = tokio::task::spawn_blocking(move || {
            std::fs::File::from(write_end).write_all(&[b'x'; 100_000]).unwrap();
        });
        write.await.unwrap();
        let exceeded = capture.exceeded.clone();
        let captured = capture.finish().await;
        assert_eq!((captured.total, captured.bytes.len(), captured.truncated), (100_000, MAX_CAPTURED, true));
        assert!(!exceeded.is_cancelled());
    }

    #[tokio::test]
    async fn one_byte_more_is_reported_at_once() {
        let owner = rustix::process::getuid().as_raw();
        let (capture, write_end) = Capture::start(3, owner).unwrap();
        let mut file = std::fs::File::from(write_end);
        file.write_all(b"1234").unwrap();
        capture.exceeded().await;
        drop(file);
        assert_eq!(capture.finish().await.bytes, b"1234");
    }
}
