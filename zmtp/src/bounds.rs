//! What a peer may send.

use crate::Error;

const FRAME_OVERHEAD: usize = 9;

/// Bounds on what a peer sends, checked before the bytes have arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of a whole message: its frames' bodies, and nine more for each frame, which bounds their number.
    pub message_bytes: usize,
    /// Bytes of one frame's body.
    pub frame_bytes: usize,
}

/// What a message has come to so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Frames.
    pub(crate) frames: usize,
    /// Bytes of their bodies.
    pub(crate) bytes: usize,
    /// What counts for [`Bounds::message_bytes`].
    counted: usize,
}

impl Tally {
    /// One more frame of the message, by its header.
    ///
    /// # Errors
    ///
    /// [`Error::Oversize`] if the message is then out of bounds.
    pub(crate) const fn frame(&mut self, body: usize, bounds: &Bounds) -> Result<(), Error> {
        if body > bounds.frame_bytes {
            return Err(Error::Oversize);
        }
        self.frames += 1;
        self.bytes = self.bytes.saturating_add(body);
        self.count(body, bounds)
    }

    /// A command within the message, which takes room beside its frames.
    ///
    /// # Errors
    ///
    /// As of [`frame`](Self::frame).
    pub(crate) const fn count(&mut self, body: usize, bounds: &Bounds) -> Result<(), Error> {
        self.counted = self.counted.saturating_add(body).saturating_add(FRAME_OVERHEAD);
        if self.counted > bounds.message_bytes { Err(Error::Oversize) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::just_fits(&[91], Ok(()))]
    #[case::frame_too_long(&[92], Err(Error::Oversize))]
    #[case::sum_fits(&[50, 32], Ok(()))]
    #[case::sum_too_large(&[50, 33], Err(Error::Oversize))]
    #[case::number(&[0; 11], Ok(()))]
    #[case::too_many(&[0; 12], Err(Error::Oversize))]
    #[case::no_overflow(&[usize::MAX, usize::MAX], Err(Error::Oversize))]
    fn a_message(#[case] frames: &[usize], #[case] expected: Result<(), Error>) {
        let bounds = Bounds { message_bytes: 100, frame_bytes: 91 };
        let mut tally = Tally::default();
        assert_eq!(frames.iter().try_for_each(|body| tally.frame(*body, &bounds)), expected);
    }
}
