//! A container's standard output and error: read to the end, counted, the first part kept.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How much of each stream is kept.
pub const KEPT: usize = 64 << 10;
/// How long a stream may stay open after its last writer was killed.
const END_DEADLINE: Duration = Duration::from_secs(2);

/// What a container wrote to one stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Captured {
    /// The first [`KEPT`] bytes.
    pub bytes: Vec<u8>,
    /// All bytes that were read, kept or not.
    pub total: u64,
    /// True if not all is kept.
    pub truncated: bool,
}

impl Captured {
    fn add(&mut self, chunk: &[u8]) {
        let room = KEPT.saturating_sub(self.bytes.len());
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
    /// Starts to read a new pipe; the other end is for the container, whose root (`owner`) may open it again by
    /// name (`/dev/stdout`).
    pub(crate) fn start(limit: u64, owner: u32) -> io::Result<(Self, OwnedFd)> {
        let (reading, writing) = io::pipe()?;
        let (uid, gid) = (rustix::fs::Uid::from_raw(owner), rustix::fs::Gid::from_raw(owner));
        rustix::fs::fchown(&writing, Some(uid), Some(gid))?;
        let receiver = Receiver::from_owned_fd(reading.into())?;
        let exceeded = CancellationToken::new();
        let reader = tokio::spawn(read(receiver, limit, exceeded.clone()));
        Ok((Self { reader, exceeded }, writing.into()))
    }

    /// Resolves once more than the limit was written.
    pub(crate) async fn exceeded(&self) {
        self.exceeded.cancelled().await;
    }

    /// What was written. To be called when no process of the container is left.
    pub(crate) async fn finish(mut self) -> Captured {
        match tokio::time::timeout(END_DEADLINE, &mut self.reader).await {
            Ok(Ok(captured)) => captured,
            Ok(Err(_)) | Err(_) => {
                self.reader.abort();
                tracing::error!("a container's output did not end with it");
                Captured { truncated: true, ..Captured::default() }
            }
        }
    }
}

async fn read(mut receiver: Receiver, limit: u64, exceeded: CancellationToken) -> Captured {
    let mut captured = Captured::default();
    let mut chunk = vec![0; KEPT];
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
    async fn exactly_the_limit_is_allowed_and_all_is_counted() {
        let owner = rustix::process::getuid().as_raw();
        let (capture, writing) = Capture::start(100_000, owner).unwrap();
        let write = tokio::task::spawn_blocking(move || {
            std::fs::File::from(writing).write_all(&[b'x'; 100_000]).unwrap();
        });
        write.await.unwrap();
        let exceeded = capture.exceeded.clone();
        let captured = capture.finish().await;
        assert_eq!((captured.total, captured.bytes.len(), captured.truncated), (100_000, KEPT, true));
        assert!(!exceeded.is_cancelled());
    }

    #[tokio::test]
    async fn one_byte_more_is_told_while_the_writer_lives() {
        let owner = rustix::process::getuid().as_raw();
        let (capture, writing) = Capture::start(3, owner).unwrap();
        let mut file = std::fs::File::from(writing);
        file.write_all(b"1234").unwrap();
        capture.exceeded().await;
        drop(file);
        assert_eq!(capture.finish().await.bytes, b"1234");
    }
}
