//! A whole message, where it was received.

use crate::bounds::Tally;
use crate::frame::Header;

/// A whole message: consecutive frames. It iterates over their bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    framed: &'a [u8],
    len: usize,
    bytes: usize,
}

impl<'a> Message<'a> {
    /// Of whole frames that were tallied. Commands among them are no part of it.
    pub(crate) const fn new(framed: &'a [u8], tally: Tally) -> Self {
        Self { framed, len: tally.frames, bytes: tally.bytes }
    }

    /// How many frames there are: one or more.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no frame, which no peer can send.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes of all frames' bodies.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The frames' bodies, in order.
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

/// The bodies of a message's frames.
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
            let (frame, rest) = self.rest.split_at_checked(header.whole())?;
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
