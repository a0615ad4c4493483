//! The bytes that a connection still has to send. They are kept in chunks, so that a large buffer is neither moved nor
//! doubled while it grows.

use std::collections::VecDeque;
use std::io::{ErrorKind, IoSlice, Write};

use super::CloseReason;

/// Size of a chunk. A larger write gets a chunk of its own.
const CHUNK_BYTES: usize = 64 << 10;

/// Bytes to send, in order.
#[derive(Debug, Default)]
pub(super) struct Output {
    chunks: VecDeque<Vec<u8>>,
    /// Number of bytes of the first chunk that have been sent.
    sent: usize,
}

impl Output {
    /// Returns the buffer to which to append `bytes` bytes.
    pub(super) fn reserve(&mut self, bytes: usize) -> &mut Vec<u8> {
        let last = self.chunks.pop_back();
        let (full, free) = match last {
            Some(last) if last.is_empty() || last.len() + bytes <= CHUNK_BYTES => (None, last),
            // Where many bytes wait, more will follow.
            Some(full) => (Some(full), Vec::with_capacity(bytes.max(CHUNK_BYTES))),
            None => (None, Vec::with_capacity(bytes)),
        };
        self.chunks.extend(full);
        self.chunks.push_back_mut(free)
    }

    /// Appends bytes. As many as the socket takes are sent immediately, after those that wait.
    pub(super) fn send(&mut self, bytes: &[u8], mut to: impl Write) {
        let waiting = self.len();
        let sent = match self.chunks.front() {
            Some(chunk) if self.chunks.len() == 1 => {
                let rest = IoSlice::new(chunk.get(self.sent..).unwrap_or_default());
                // An error is reported when the rest is sent.
                to.write_vectored(&[rest, IoSlice::new(bytes)]).unwrap_or(0)
            }
            _ => 0,
        };
        self.sent += sent.min(waiting);
        let rest = bytes.get(sent.saturating_sub(waiting)..).unwrap_or_default();
        if !rest.is_empty() {
            self.reserve(rest.len()).extend_from_slice(rest);
        }
    }

    /// Returns the number of bytes that wait.
    pub(super) fn len(&self) -> usize {
        self.chunks.iter().map(Vec::len).sum::<usize>() - self.sent
    }

    /// Sends as many bytes as the socket takes.
    pub(super) fn flush(&mut self, mut to: impl Write) -> Result<(), CloseReason> {
        while let Some(chunk) = self.chunks.front() {
            let rest = chunk.get(self.sent..).unwrap_or_default();
            if rest.is_empty() {
                self.remove_first();
                if self.chunks.front().is_none_or(Vec::is_empty) {
                    return Ok(());
                }
                continue;
            }
            match to.write(rest) {
                Ok(0) => return Err(CloseReason::Peer),
                Ok(sent) => self.sent += sent,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Err(CloseReason::Peer),
            }
        }
        Ok(())
    }

    /// Removes the first chunk. The memory of the last one is kept, unless it was large.
    fn remove_first(&mut self) {
        self.sent = 0;
        let Some(mut chunk) = self.chunks.pop_front() else { return };
        if self.chunks.is_empty() && chunk.capacity() <= CHUNK_BYTES {
            chunk.clear();
            self.chunks.push_back(chunk);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Accepts a number of bytes, then blocks.
    struct Pipe(Vec<u8>, usize);

    impl Write for &mut Pipe {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let taken = bytes.len().min(self.1);
            if taken == 0 {
                return Err(ErrorKind::WouldBlock.into());
            }
            self.0.extend_from_slice(&bytes[..taken]);
            self.1 -= taken;
            Ok(taken)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn bytes_are_sent_in_order() {
        for step in [1, 7, 1000, CHUNK_BYTES, 10 * CHUNK_BYTES] {
            let (mut output, mut pipe, mut all) = (Output::default(), Pipe(vec![], 0), vec![]);
            for (number, size) in
                [10, 0, CHUNK_BYTES, 1, 3 * CHUNK_BYTES, 20, 5, 2 * CHUNK_BYTES].into_iter().enumerate()
            {
                let bytes = vec![u8::try_from(number).unwrap(); size];
                pipe.1 += step;
                if number % 2 == 0 {
                    output.reserve(size).extend_from_slice(&bytes);
                } else {
                    output.send(&bytes, &mut pipe);
                }
                all.extend_from_slice(&bytes);
                output.flush(&mut pipe).unwrap();
                assert_eq!(output.len(), all.len() - pipe.0.len());
            }
            pipe.1 = usize::MAX;
            output.flush(&mut pipe).unwrap();
            assert!(output.len() == 0 && pipe.0 == all, "{step}");
        }
    }

    #[test]
    fn memory_matches_the_unsent_bytes() {
        let mut output = Output::default();
        for _ in 0..100 {
            let large = 1 << 20;
            output.reserve(large).resize(large, 0);
        }
        assert_eq!(output.chunks.iter().map(Vec::capacity).sum::<usize>(), 100 << 20);
        output.flush(&mut Pipe(vec![], usize::MAX)).unwrap();
        assert_eq!(output.chunks.iter().map(Vec::capacity).sum::<usize>(), 0);
    }
}
