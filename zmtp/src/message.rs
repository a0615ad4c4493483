//! A whole message, borrowed from the buffer that it was received in.

use crate::frame::Header;
use crate::message_limits::MessageSize;

/// A whole message. It iterates over the bodies of its frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    framed: &'a [u8],
    len: usize,
    bytes: usize,
}

impl<'a> Message<'a> {
    /// Makes a message of whole frames and their size. Commands among the frames are skipped.
    pub(crate) const fn new(framed: &'a [u8], size: MessageSize) -> Self {
        Self { framed, len: size.frames, bytes: size.bytes }
    }

    /// Returns the number of frames, at least one.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no frames, which a peer cannot send.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the bytes of all frames' bodies.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Iterates over the frames' bodies, in order.
    pub const fn iter(&self) -> Frames<'a> {
        Frames { rest: self.framed, left: self.len }
    }
}

impl<'a> IntoIterator for Message<'a> {
    type Item = &'a [u8];
    type IntoIter = Frames<'a>;

    fn into_iter(self) -> Frames<'a> {
        self.iter()
    }
}

impl<'a> IntoIterator for &Message<'a> {
    type Item = &'a [u8];
    type IntoIter = Frames<'a>;

    fn into_iter(self) -> Frames<'a> {
        self.iter()
    }
}

/// Iterates over the bodies of a message's frames.
#[derive(Debug, Clone)]
pub struct Frames<'a> {
    rest: &'a [u8],
    left: usize,
}

impl<'a> Iterator for Frames<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.left = self.left.checked_sub(1)?;
        loop {
            let header = Header::read(self.rest).ok()??;
            let (frame, rest) = self.rest.split_at_checked(header.frame_size())?;
            self.rest = rest;
            if !header.command {
                return frame.get(header.size..);
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Frames<'_> {}
