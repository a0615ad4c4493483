//! What a connection is still to be sent. In pieces, so that much of it is neither moved nor doubled as it grows.

use std::collections::VecDeque;
use std::io::{ErrorKind, IoSlice, Write};

use super::Closed;

/// Bytes of a piece; what is larger gets a piece of its own.
const PIECE: usize = 64 << 10;

/// Bytes to be sent, in order.
#[derive(Debug, Default)]
pub(super) struct Output {
    pieces: VecDeque<Vec<u8>>,
    /// How much of the first piece has been sent.
    sent: usize,
}

impl Output {
    /// Where so many bytes are to be appended.
    pub(super) fn room(&mut self, bytes: usize) -> &mut Vec<u8> {
        let last = self.pieces.pop_back();
        let (full, free) = match last {
            Some(last) if last.is_empty() || last.len() + bytes <= PIECE => (None, last),
            // Where much waits, more will.
            Some(full) => (Some(full), Vec::with_capacity(bytes.max(PIECE))),
            None => (None, Vec::with_capacity(bytes)),
        };
        self.pieces.extend(full);
        self.pieces.push_back_mut(free)
    }

    /// Appends bytes. As many as go are sent at once, after what waits.
    pub(super) fn send(&mut self, bytes: &[u8], mut to: impl Write) {
        let waiting = self.len();
        let sent = match self.pieces.front() {
            Some(piece) if self.pieces.len() == 1 => {
                let rest = IoSlice::new(piece.get(self.sent..).unwrap_or_default());
                // An error shows again when the rest is sent.
                to.write_vectored(&[rest, IoSlice::new(bytes)]).unwrap_or(0)
            }
            _ => 0,
        };
        self.sent += sent.min(waiting);
        let rest = bytes.get(sent.saturating_sub(waiting)..).unwrap_or_default();
        if !rest.is_empty() {
            self.room(rest.len()).extend_from_slice(rest);
        }
    }

    /// Bytes that wait.
    pub(super) fn len(&self) -> usize {
        self.pieces.iter().map(Vec::len).sum::<usize>() - self.sent
    }

    /// Sends what waits, as far as it goes.
    pub(super) fn flush(&mut self, mut to: impl Write) -> Result<(), Closed> {
        while let Some(piece) = self.pieces.front() {
            let rest = piece.get(self.sent..).unwrap_or_default();
            if rest.is_empty() {
                self.forget_first();
                if self.pieces.front().is_none_or(Vec::is_empty) {
                    return Ok(());
                }
                continue;
            }
            match to.write(rest) {
                Ok(0) => return Err(Closed::Peer),
                Ok(sent) => self.sent += sent,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Err(Closed::Peer),
            }
        }
        Ok(())
    }

    /// The memory of a last piece stays for what comes next, unless it was a large one.
    fn forget_first(&mut self) {
        self.sent = 0;
        let Some(mut piece) = self.pieces.pop_front() else { return };
        if self.pieces.is_empty() && piece.capacity() <= PIECE {
            piece.clear();
            self.pieces.push_back(piece);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes so many bytes, then blocks.
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
    fn what_was_appended_leaves_in_order_however_much_is_taken_at_a_time() {
        for step in [1, 7, 1000, PIECE, 10 * PIECE] {
            let (mut output, mut pipe, mut all) = (Output::default(), Pipe(vec![], 0), vec![]);
            for (number, size) in [10, 0, PIECE, 1, 3 * PIECE, 20, 5, 2 * PIECE].into_iter().enumerate() {
                let bytes = vec![u8::try_from(number).unwrap(); size];
                pipe.1 += step;
                if number % 2 == 0 {
                    output.room(size).extend_from_slice(&bytes);
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
    fn what_is_left_unsent_takes_no_more_memory_than_it_has_bytes_and_none_once_it_left() {
        let mut output = Output::default();
        for _ in 0..100 {
            let large = 1 << 20;
            output.room(large).resize(large, 0);
        }
        assert_eq!(output.pieces.iter().map(Vec::capacity).sum::<usize>(), 100 << 20);
        output.flush(&mut Pipe(vec![], usize::MAX)).unwrap();
        assert_eq!(output.pieces.iter().map(Vec::capacity).sum::<usize>(), 0);
    }
}
