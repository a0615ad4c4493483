//! A whole message, where it was received.

/// A whole message: consecutive frames. It iterates over their bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    framed: &'a [u8],
    len: usize,
    bytes: usize,
}

impl<'a> Message<'a> {
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
        Some(self.rest)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Frames<'_> {}
