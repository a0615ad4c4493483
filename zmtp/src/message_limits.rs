//! Limits on what a peer may send.

use crate::ZmtpError;

const FRAME_OVERHEAD_BYTES: usize = 9;

/// Limits on what a peer may send. They are checked by the headers, before the bytes have arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageLimits {
    /// Maximum size of a message in bytes: the bodies of its frames, and nine for each frame, which limits their number.
    pub max_message_bytes: usize,
    /// Maximum size of one frame's body in bytes.
    pub max_frame_bytes: usize,
}

/// The size of a message that is still arriving.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct MessageSize {
    /// The number of frames.
    pub(crate) frames: usize,
    /// The bytes of their bodies.
    pub(crate) bytes: usize,
    /// The bytes that count towards [`MessageLimits::max_message_bytes`].
    counted: usize,
}

impl MessageSize {
    /// Adds a frame of the message, by its header.
    ///
    /// # Errors
    ///
    /// [`ZmtpError::Oversize`] if the message then exceeds the limits.
    pub(crate) const fn add_frame(&mut self, body: usize, limits: &MessageLimits) -> Result<(), ZmtpError> {
        if body > limits.max_frame_bytes {
            return Err(ZmtpError::Oversize);
        }
        self.frames += 1;
        self.bytes = self.bytes.saturating_add(body);
        self.add_command(body, limits)
    }

    /// Adds a command within the message, which is buffered with its frames.
    ///
    /// # Errors
    ///
    /// Those of [`add_frame`](Self::add_frame).
    pub(crate) const fn add_command(&mut self, body: usize, limits: &MessageLimits) -> Result<(), ZmtpError> {
        self.counted = self.counted.saturating_add(body).saturating_add(FRAME_OVERHEAD_BYTES);
        if self.counted > limits.max_message_bytes { Err(ZmtpError::Oversize) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::just_fits(&[91], Ok(()))]
    #[case::frame_too_long(&[92], Err(ZmtpError::Oversize))]
    #[case::sum_fits(&[50, 32], Ok(()))]
    #[case::sum_too_large(&[50, 33], Err(ZmtpError::Oversize))]
    #[case::number(&[0; 11], Ok(()))]
    #[case::too_many(&[0; 12], Err(ZmtpError::Oversize))]
    #[case::no_overflow(&[usize::MAX, usize::MAX], Err(ZmtpError::Oversize))]
    fn message_sizes_are_limited(#[case] frames: &[usize], #[case] expected: Result<(), ZmtpError>) {
        let limits = MessageLimits { max_message_bytes: 100, max_frame_bytes: 91 };
        let mut size = MessageSize::default();
        assert_eq!(frames.iter().try_for_each(|body| size.add_frame(*body, &limits)), expected);
    }
}
