//! A frame on the wire: a flags byte, a length of one or eight bytes, and a body.

use std::ops::Deref;

use crate::ZmtpError;

const MORE: u8 = 1;
const LONG: u8 = 2;
const COMMAND: u8 = 4;
/// Size of the longest header in bytes.
const MAX_HEADER_BYTES: usize = 9;

/// A frame's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    /// Whether a frame of the same message follows.
    pub(crate) more: bool,
    /// Whether the frame is a command and not part of a message.
    pub(crate) command: bool,
    /// The bytes of the header itself.
    pub(crate) size: usize,
    /// The bytes of the body.
    pub(crate) body: usize,
}

impl Header {
    /// Reads the header at the start of `input`, or returns `None` if it is incomplete.
    ///
    /// # Errors
    ///
    /// [`ZmtpError::Flags`] for an invalid first byte; [`ZmtpError::Oversize`] for a length beyond the address space.
    pub(crate) fn read(input: &[u8]) -> Result<Option<Self>, ZmtpError> {
        let Some((&flags, rest)) = input.split_first() else { return Ok(None) };
        let more = flags & MORE != 0;
        let command = flags & COMMAND != 0;
        if flags & !(MORE | LONG | COMMAND) != 0 || (more && command) {
            return Err(ZmtpError::Flags(flags));
        }
        if flags & LONG == 0 {
            return Ok(rest.first().map(|&body| Self { more, command, size: 2, body: usize::from(body) }));
        }
        let Some(length) = rest.first_chunk() else { return Ok(None) };
        let body = usize::try_from(u64::from_be_bytes(*length)).map_err(|_| ZmtpError::Oversize)?;
        if body > isize::MAX as usize {
            return Err(ZmtpError::Oversize);
        }
        Ok(Some(Self { more, command, size: MAX_HEADER_BYTES, body }))
    }

    /// Returns the bytes of the whole frame.
    pub(crate) const fn frame_size(&self) -> usize {
        self.size.saturating_add(self.body)
    }
}

/// An encoded header.
pub(crate) struct EncodedHeader {
    bytes: [u8; MAX_HEADER_BYTES],
    size: usize,
}

impl Deref for EncodedHeader {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(..self.size).unwrap_or_default()
    }
}

/// Encodes the header of a message frame with a body of `body` bytes.
pub(crate) fn header(more: bool, body: usize) -> EncodedHeader {
    encode(if more { MORE } else { 0 }, body)
}

/// Appends a command frame with a body of these parts.
pub(crate) fn push_command(parts: &[&[u8]], output: &mut Vec<u8>) {
    output.extend_from_slice(&encode(COMMAND, parts.iter().map(|part| part.len()).sum()));
    for part in parts {
        output.extend_from_slice(part);
    }
}

fn encode(flags: u8, body: usize) -> EncodedHeader {
    if let Ok(short) = u8::try_from(body) {
        return EncodedHeader { bytes: [flags, short, 0, 0, 0, 0, 0, 0, 0], size: 2 };
    }
    let [a, b, c, d, e, f, g, h] = (body as u64).to_be_bytes();
    EncodedHeader { bytes: [flags | LONG, a, b, c, d, e, f, g, h], size: MAX_HEADER_BYTES }
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
    // A long header for a short body is allowed.
    #[case(&[3, 0, 0, 0, 0, 0, 0, 0, 1], Ok(Some((true, false, 9, 1))))]
    #[case(&[6, 0, 0, 0, 0, 0, 0, 0, 5], Ok(Some((false, true, 9, 5))))]
    #[case(&[2, 0x80, 0, 0, 0, 0, 0, 0, 0], Err(ZmtpError::Oversize))]
    #[case(&[2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], Err(ZmtpError::Oversize))]
    #[case(&[5], Err(ZmtpError::Flags(5)))]
    #[case(&[8], Err(ZmtpError::Flags(8)))]
    #[case(b"GET", Err(ZmtpError::Flags(b'G')))]
    fn headers_are_read(
        #[case] input: &[u8],
        #[case] expected: Result<Option<(bool, bool, usize, usize)>, ZmtpError>,
    ) {
        let read = Header::read(input).map(|read| read.map(|h| (h.more, h.command, h.size, h.body)));
        assert_eq!(read, expected);
    }

    #[rstest]
    #[case(0, 2)]
    #[case(255, 2)]
    #[case(256, 9)]
    #[case(70_000, 9)]
    fn encoded_headers_are_read_back(
        #[case] body: usize,
        #[case] size: usize,
        #[values(false, true)] more: bool,
    ) {
        assert_eq!(Header::read(&header(more, body)), Ok(Some(Header { more, command: false, size, body })));
    }
}
