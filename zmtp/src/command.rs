//! Commands: a name and what belongs to it.

use crate::Error;
use crate::frame::{self, Header};

/// Bytes of a command's body: the longest is INITIATE, with properties of some hundred bytes.
pub(crate) const MAX_BYTES: usize = 1024;

pub(crate) const READY: &[u8] = b"\x05READY";
pub(crate) const ERROR: &[u8] = b"\x05ERROR";
pub(crate) const PONG: &[u8] = b"\x04PONG";
const PING: &[u8] = b"\x04PING";
const PING_TTL_BYTES: usize = 2;
const PING_CONTEXT_BYTES: usize = 16;

/// The body of the command that a handshake's input starts with, and the bytes of its frame; `None` if it is not whole.
///
/// # Errors
///
/// By the header; [`Error::Unexpected`] if it is no command; [`Error::CommandBytes`] before it has arrived.
pub(crate) fn take(input: &[u8]) -> Result<Option<(&[u8], usize)>, Error> {
    let Some(header) = Header::read(input)? else { return Ok(None) };
    if !header.command {
        return Err(Error::Unexpected);
    }
    bound(&header)?;
    Ok(input.get(header.size..header.whole()).map(|body| (body, header.whole())))
}

/// # Errors
///
/// [`Error::CommandBytes`] by the header.
pub(crate) const fn bound(header: &Header) -> Result<(), Error> {
    if header.body > MAX_BYTES { Err(Error::CommandBytes(header.body)) } else { Ok(()) }
}

/// What follows the name of the handshake's next command.
///
/// # Errors
///
/// [`Error::Peer`] if it is ERROR, [`Error::Unexpected`] if it is any other.
pub(crate) fn expect<'a>(name: &[u8], body: &'a [u8]) -> Result<&'a [u8], Error> {
    let other = if body.starts_with(ERROR) { Error::Peer } else { Error::Unexpected };
    body.strip_prefix(name).ok_or(other)
}

/// Appends the ERROR that tells the peer why the handshake ends, where it may know.
pub(crate) fn push_error(why: Error, output: &mut Vec<u8>) {
    let reason: &[u8] = match why {
        Error::Refused => b"\x03400",
        Error::SocketType => b"\x13Invalid socket type",
        _ => return,
    };
    frame::push_command(&[ERROR, reason], output);
}

/// What a command after the handshake is to be answered with: the context of a PING. All others are ignored: a ROUTER
/// knows no subscriptions, and sends no PING itself.
///
/// # Errors
///
/// [`Error::Command`] if it has no name, or is a PING without its time to live.
pub(crate) fn pinged(body: &[u8]) -> Result<Option<&[u8]>, Error> {
    let (&length, rest) = body.split_first().ok_or(Error::Command)?;
    if rest.len() < usize::from(length) {
        return Err(Error::Command);
    }
    let Some(ping) = body.strip_prefix(PING) else { return Ok(None) };
    let context = ping.get(PING_TTL_BYTES..).ok_or(Error::Command)?;
    Ok(context.get(..PING_CONTEXT_BYTES).or(Some(context)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(b"\x04PING\0\x01", Ok(Some(b"".as_slice())))]
    #[case(b"\x04PING\0\x01context", Ok(Some(b"context".as_slice())))]
    #[case(b"\x04PING\0\x010123456789abcdefg", Ok(Some(b"0123456789abcdef".as_slice())))]
    #[case(b"\x04PING\0", Err(Error::Command))]
    #[case(b"\x04PONG", Ok(None))]
    #[case(b"\x09SUBSCRIBEa", Ok(None))]
    #[case(b"\0", Ok(None))]
    #[case(b"", Err(Error::Command))]
    #[case(b"\x05PING", Err(Error::Command))]
    fn pings(#[case] body: &[u8], #[case] expected: Result<Option<&[u8]>, Error>) {
        assert_eq!(pinged(body), expected);
    }

    #[rstest]
    #[case(b"\x04\x00", Ok(Some((b"".as_slice(), 2))))]
    #[case(b"\x04\x02ab..", Ok(Some((b"ab".as_slice(), 4))))]
    #[case(b"\x04\x02a", Ok(None))]
    #[case(b"\x00", Ok(None))]
    #[case(b"\x00\x02", Err(Error::Unexpected))]
    #[case(b"\x06\0\0\0\0\0\0\x04\x01", Err(Error::CommandBytes(1025)))]
    fn taking(#[case] input: &[u8], #[case] expected: Result<Option<(&[u8], usize)>, Error>) {
        assert_eq!(take(input), expected);
    }
}
