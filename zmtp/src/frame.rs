//! A frame on the wire: a flags byte, a length of one or eight bytes, a body.

use std::ops::Deref;

use crate::Error;

const MORE: u8 = 1;
const LONG: u8 = 2;
const COMMAND: u8 = 4;
/// Bytes that any header fits into.
const MAX_HEADER_BYTES: usize = 9;

/// A frame's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    /// Whether a frame of the same message follows.
    pub(crate) more: bool,
    /// Whether the frame is a command and no part of a message.
    pub(crate) command: bool,
    /// Bytes of the header itself.
    pub(crate) size: usize,
    /// Bytes of the body that follows.
    pub(crate) body: usize,
}

impl Header {
    /// Reads the header that `input` starts with; `None` if it is not whole.
    ///
    /// # Errors
    ///
    /// [`Error::Flags`] by the first byte; [`Error::Oversize`] for a length that no memory holds.
    pub(crate) fn read(input: &[u8]) -> Result<Option<Self>, Error> {
        let Some((&flags, rest)) = input.split_first() else { return Ok(None) };
        let (more, command) = (flags & MORE != 0, flags & COMMAND != 0);
        if flags & !(MORE | LONG | COMMAND) != 0 || (more && command) {
            return Err(Error::Flags(flags));
        }
        if flags & LONG == 0 {
            let header = |&body: &u8| Self { more, command, size: 2, body: usize::from(body) };
            return Ok(rest.first().map(header));
        }
        let Some(length) = rest.first_chunk() else { return Ok(None) };
        let body = usize::try_from(u64::from_be_bytes(*length)).map_err(|_| Error::Oversize)?;
        if body > isize::MAX as usize {
            return Err(Error::Oversize);
        }
        Ok(Some(Self { more, command, size: MAX_HEADER_BYTES, body }))
    }

    /// Bytes of the whole frame.
    pub(crate) const fn whole(&self) -> usize {
        self.size.saturating_add(self.body)
    }
}

/// The bytes of a header.
pub(crate) struct Encoded {
    bytes: [u8; MAX_HEADER_BYTES],
    size: usize,
}

impl Deref for Encoded {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(..self.size).unwrap_or_default()
    }
}

/// The header of a part of a message, with so many bytes of body.
pub(crate) fn header(more: bool, body: usize) -> Encoded {
    encoded(if more { MORE } else { 0 }, body)
}

/// Appends a command.
pub(crate) fn push_command(parts: &[&[u8]], output: &mut Vec<u8>) {
    output.extend_from_slice(&encoded(COMMAND, parts.iter().map(|part| part.len()).sum()));
    for part in parts {
        output.extend_from_slice(part);
    }
}

fn encoded(flags: u8, body: usize) -> Encoded {
    if let Ok(short) = u8::try_from(body) {
        return Encoded { bytes: [flags, short, 0, 0, 0, 0, 0, 0, 0], size: 2 };
    }
    let [a, b, c, d, e, f, g, h] = (body as u64).to_be_bytes();
    Encoded { bytes: [flags | LONG, a, b, c, d, e, f, g, h], size: MAX_HEADER_BYTES }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(&[], Ok(None))]
    #[case(&[0], Ok(None))]
    #[case(&[1, 7], Ok(Some((true, false, 2, 7))))]
    #[case(&[4, 255, 9], Ok(Some((false, true, 2, 255))))]
    #[case(&[2, 0, 0, 0, 0, 0, 0, 1], Ok(None))]
    #[case(&[2, 0, 0, 0, 0, 0, 0, 1, 0], Ok(Some((false, false, 9, 256))))]
    // Longer than needed, which nothing forbids.
    #[case(&[3, 0, 0, 0, 0, 0, 0, 0, 1], Ok(Some((true, false, 9, 1))))]
    #[case(&[6, 0, 0, 0, 0, 0, 0, 0, 5], Ok(Some((false, true, 9, 5))))]
    #[case(&[2, 0x80, 0, 0, 0, 0, 0, 0, 0], Err(Error::Oversize))]
    #[case(&[2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], Err(Error::Oversize))]
    #[case(&[5], Err(Error::Flags(5)))]
    #[case(&[8], Err(Error::Flags(8)))]
    #[case(b"GET", Err(Error::Flags(b'G')))]
    fn reading(#[case] input: &[u8], #[case] expected: Result<Option<(bool, bool, usize, usize)>, Error>) {
        let header = |h: Header| (h.more, h.command, h.size, h.body);
        assert_eq!(Header::read(input).map(|read| read.map(header)), expected);
    }

    #[rstest]
    #[case(0, 2)]
    #[case(255, 2)]
    #[case(256, 9)]
    #[case(70_000, 9)]
    fn what_is_written_is_read(#[case] body: usize, #[case] size: usize, #[values(false, true)] more: bool) {
        assert_eq!(Header::read(&header(more, body)), Ok(Some(Header { more, command: false, size, body })));
    }
}
