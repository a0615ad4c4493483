//! What peers tell of themselves in READY and INITIATE: names and values.

use crate::Error;

/// Ours: all that a server says.
pub(crate) const OURS: &[u8] = b"\x0bSocket-Type\0\0\0\x06ROUTER";

const SOCKET_TYPE: &[u8] = b"Socket-Type";

/// Checks a peer's properties: the kind of its socket, and that the rest can be read. The rest is left alone: an
/// identity that a peer gives itself could be another's.
///
/// # Errors
///
/// [`Error::Properties`] or [`Error::SocketType`].
pub(crate) fn check(mut properties: &[u8]) -> Result<(), Error> {
    let mut has_type = false;
    while !properties.is_empty() {
        let (name, value, rest) = split(properties).ok_or(Error::Properties)?;
        if name.eq_ignore_ascii_case(SOCKET_TYPE) {
            if !matches!(value, b"REQ" | b"DEALER" | b"ROUTER") {
                return Err(Error::SocketType);
            }
            has_type = true;
        }
        properties = rest;
    }
    if has_type { Ok(()) } else { Err(Error::SocketType) }
}

/// The first property's name and value, and the rest.
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
    #[case::ours(OURS, Ok(()))]
    #[case::req(b"\x0bSocket-Type\0\0\0\x03REQ\x08Identity\0\0\0\0", Ok(()))]
    #[case::identity(b"\x08Identity\0\0\0\x01x\x0bsocket-TYPE\0\0\0\x06DEALER", Ok(()))]
    #[case::nothing(b"", Err(Error::SocketType))]
    #[case::push(b"\x0bSocket-Type\0\0\0\x04PUSH", Err(Error::SocketType))]
    #[case::two(b"\x0bSocket-Type\0\0\0\x03REQ\x0bSocket-Type\0\0\0\x03SUB", Err(Error::SocketType))]
    #[case::prefix(b"\x0bSocket-Type\0\0\0\x02RE", Err(Error::SocketType))]
    #[case::one_byte_left(b"\x0bSocket-Type\0\0\0\x03REQ\x05", Err(Error::Properties))]
    #[case::no_value(b"\x0bSocket-Type\0\0\0", Err(Error::Properties))]
    #[case::long_value(b"\x0bSocket-Type\xff\xff\xff\xffREQ", Err(Error::Properties))]
    #[case::no_name(b"\0\0\0\0\0", Err(Error::Properties))]
    fn checking(#[case] properties: &[u8], #[case] expected: Result<(), Error>) {
        assert_eq!(check(properties), expected);
    }
}
