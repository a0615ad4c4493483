//! The properties that peers send in READY and INITIATE: names and values.

use crate::ZmtpError;

/// The properties that the server sends.
pub(crate) const SERVER_PROPERTIES: &[u8] = b"\x0bSocket-Type\0\0\0\x06ROUTER";

const SOCKET_TYPE: &[u8] = b"Socket-Type";

/// Checks the socket type in a peer's properties, and that the others are well-formed. They are not used: a peer could
/// claim another peer's identity.
///
/// # Errors
///
/// [`ZmtpError::Properties`] or [`ZmtpError::SocketType`].
pub(crate) fn check(mut properties: &[u8]) -> Result<(), ZmtpError> {
    let mut has_type = false;
    while !properties.is_empty() {
        let (name, value, rest) = split(properties).ok_or(ZmtpError::Properties)?;
        if name.eq_ignore_ascii_case(SOCKET_TYPE) {
            if !matches!(value, b"REQ" | b"DEALER" | b"ROUTER") {
                return Err(ZmtpError::SocketType);
            }
            has_type = true;
        }
        properties = rest;
    }
    if has_type { Ok(()) } else { Err(ZmtpError::SocketType) }
}

/// Splits off the first property. Returns its name, its value and the rest.
fn split(properties: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (&length, rest) = properties.split_first()?;
    let (name, rest) = rest.split_at_checked(usize::from(length))?;
    let (length, rest) = rest.split_first_chunk()?;
    let (value, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    (!name.is_empty()).then_some((name, value, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::ours(SERVER_PROPERTIES, Ok(()))]
    #[case::req(b"\x0bSocket-Type\0\0\0\x03REQ\x08Identity\0\0\0\0", Ok(()))]
    #[case::identity(b"\x08Identity\0\0\0\x01x\x0bsocket-TYPE\0\0\0\x06DEALER", Ok(()))]
    #[case::nothing(b"", Err(ZmtpError::SocketType))]
    #[case::push(b"\x0bSocket-Type\0\0\0\x04PUSH", Err(ZmtpError::SocketType))]
    #[case::two(b"\x0bSocket-Type\0\0\0\x03REQ\x0bSocket-Type\0\0\0\x03SUB", Err(ZmtpError::SocketType))]
    #[case::prefix(b"\x0bSocket-Type\0\0\0\x02RE", Err(ZmtpError::SocketType))]
    #[case::one_byte_left(b"\x0bSocket-Type\0\0\0\x03REQ\x05", Err(ZmtpError::Properties))]
    #[case::no_value(b"\x0bSocket-Type\0\0\0", Err(ZmtpError::Properties))]
    #[case::long_value(b"\x0bSocket-Type\xff\xff\xff\xffREQ", Err(ZmtpError::Properties))]
    #[case::no_name(b"\0\0\0\0\0", Err(ZmtpError::Properties))]
    fn properties_are_checked(#[case] properties: &[u8], #[case] expected: Result<(), ZmtpError>) {
        assert_eq!(check(properties), expected);
    }
}
