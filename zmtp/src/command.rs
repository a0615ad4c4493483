//! Commands: a name and its data.

use crate::ZmtpError;
use crate::frame::{self, Header};

/// Maximum size of a command's body. The longest is INITIATE, with a few hundred bytes of properties.
pub(crate) const MAX_COMMAND_BYTES: usize = 1024;

pub(crate) const READY: &[u8] = b"\x05READY";
pub(crate) const ERROR: &[u8] = b"\x05ERROR";
pub(crate) const PONG: &[u8] = b"\x04PONG";
const PING: &[u8] = b"\x04PING";
const PING_TTL_BYTES: usize = 2;
const PING_CONTEXT_BYTES: usize = 16;

/// Reads the command at the start of the input. Returns its body and the size of its frame, or `None` if it is
/// incomplete.
///
/// # Errors
///
/// Those of the header; [`ZmtpError::Unexpected`] if it is not a command; [`ZmtpError::CommandBytes`] if it is too large,
/// before it has arrived.
pub(crate) fn read(input: &[u8]) -> Result<Option<(&[u8], usize)>, ZmtpError> {
    let Some(header) = Header::read(input)? else { return Ok(None) };
    if !header.command {
        return Err(ZmtpError::Unexpected);
    }
    check_size(&header)?;
    Ok(input.get(header.size..header.frame_size()).map(|body| (body, header.frame_size())))
}

/// Checks the size of a command by its header.
///
/// # Errors
///
/// [`ZmtpError::CommandBytes`] if it is too large.
pub(crate) const fn check_size(header: &Header) -> Result<(), ZmtpError> {
    if header.body > MAX_COMMAND_BYTES { Err(ZmtpError::CommandBytes(header.body)) } else { Ok(()) }
}

/// Returns the data of a command, whose name must be `name`.
///
/// # Errors
///
/// [`ZmtpError::Peer`] if the command is ERROR, [`ZmtpError::Unexpected`] if it is any other.
pub(crate) fn expect<'a>(name: &[u8], body: &'a [u8]) -> Result<&'a [u8], ZmtpError> {
    let other = if body.starts_with(ERROR) { ZmtpError::Peer } else { ZmtpError::Unexpected };
    body.strip_prefix(name).ok_or(other)
}

/// Appends an ERROR command if the peer may know why the handshake fails.
pub(crate) fn push_error(error: ZmtpError, output: &mut Vec<u8>) {
    let reason: &[u8] = match error {
        ZmtpError::Refused => b"\x03400",
        ZmtpError::SocketType => b"\x13Invalid socket type",
        _ => return,
    };
    frame::push_command(&[ERROR, reason], output);
}

/// Returns the context of a PING, for the PONG. Other commands after the handshake are ignored: a ROUTER has no
/// subscriptions and sends no PING itself.
///
/// # Errors
///
/// [`ZmtpError::Command`] if the command has no name, or is a PING without a time to live.
pub(crate) fn ping_context(body: &[u8]) -> Result<Option<&[u8]>, ZmtpError> {
    let (&length, rest) = body.split_first().ok_or(ZmtpError::Command)?;
    if rest.len() < usize::from(length) {
        return Err(ZmtpError::Command);
    }
    let Some(ping) = body.strip_prefix(PING) else { return Ok(None) };
    let context = ping.get(PING_TTL_BYTES..).ok_or(ZmtpError::Command)?;
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
    #[case(b"\x04PING\0", Err(ZmtpError::Command))]
    #[case(b"\x04PONG", Ok(None))]
    #[case(b"\x09SUBSCRIBEa", Ok(None))]
    #[case(b"\0", Ok(None))]
    #[case(b"", Err(ZmtpError::Command))]
    #[case(b"\x05PING", Err(ZmtpError::Command))]
    fn ping_contexts_are_read(#[case] body: &[u8], #[case] expected: Result<Option<&[u8]>, ZmtpError>) {
        assert_eq!(ping_context(body), expected);
    }

    #[rstest]
    #[case(b"\x04\x00", Ok(Some((b"".as_slice(), 2))))]
    #[case(b"\x04\x02ab..", Ok(Some((b"ab".as_slice(), 4))))]
    #[case(b"\x04\x02a", Ok(None))]
    #[case(b"\x00", Ok(None))]
    #[case(b"\x00\x02", Err(ZmtpError::Unexpected))]
    #[case(b"\x06\0\0\0\0\0\0\x04\x01", Err(ZmtpError::CommandBytes(1025)))]
    fn commands_are_read(#[case] input: &[u8], #[case] expected: Result<Option<(&[u8], usize)>, ZmtpError>) {
        assert_eq!(read(input), expected);
    }
}
