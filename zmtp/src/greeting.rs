//! The greeting, the first 64 bytes of each side: signature, version, mechanism and role.

use crate::ZmtpError;

/// Size of a greeting in bytes.
pub(crate) const GREETING_BYTES: usize = 64;

const SIGNATURE: [u8; 10] = [0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f];
const VERSION: [u8; 2] = [3, 1];
/// Size of the part up to and including the major version.
const FIRST_PART_BYTES: usize = 11;
const MECHANISM_OFFSET: usize = 12;
const ROLE_OFFSET: usize = 32;

/// A mechanism's name as encoded in a greeting.
pub(crate) type Mechanism = [u8; ROLE_OFFSET - MECHANISM_OFFSET];

/// No security.
pub(crate) const NULL: Mechanism = *b"NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
/// CurveZMQ.
pub(crate) const CURVE: Mechanism = *b"CURVE\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

/// Returns the part of our greeting that is sent at once: up to the major version.
///
/// A libzmq peer that sees a foreign mechanism disconnects without sending its own. So, like libzmq, we send our mechanism
/// only after the peer has sent its version, usually together with its mechanism.
pub(crate) fn first_part(mechanism: &Mechanism) -> Vec<u8> {
    our_greeting(mechanism).into_iter().take(FIRST_PART_BYTES).collect()
}

/// Returns the rest of our greeting, which is sent once the peer's version has arrived.
pub(crate) fn second_part(mechanism: &Mechanism) -> Vec<u8> {
    our_greeting(mechanism).into_iter().skip(FIRST_PART_BYTES).collect()
}

/// Whether the peer's version has arrived.
pub(crate) const fn has_version(input: &[u8]) -> bool {
    input.len() >= FIRST_PART_BYTES
}

fn our_greeting(mechanism: &Mechanism) -> [u8; GREETING_BYTES] {
    let role = [u8::from(*mechanism == CURVE)];
    let fields = [SIGNATURE.as_slice(), &VERSION, mechanism, &role];
    let mut greeting = [0; GREETING_BYTES];
    for (to, from) in greeting.iter_mut().zip(fields.into_iter().flatten()) {
        *to = *from;
    }
    greeting
}

/// Checks the greeting at the start of `input` as far as it has arrived. Returns true if it is complete.
///
/// Neither the padding within the signature nor the role is checked: libzmq uses the padding and leaves the role empty.
///
/// # Errors
///
/// [`ZmtpError::Signature`], [`ZmtpError::Version`] or [`ZmtpError::Mechanism`].
pub(crate) fn check(input: &[u8], mechanism: &Mechanism) -> Result<bool, ZmtpError> {
    let differs = |at: usize, expected: u8| input.get(at).is_some_and(|byte| *byte != expected);
    if differs(0, 0xff) || differs(9, 0x7f) {
        return Err(ZmtpError::Signature);
    }
    match input.get(SIGNATURE.len()) {
        Some(&major) if major < 3 => return Err(ZmtpError::Version(major)),
        _ => {}
    }
    if (MECHANISM_OFFSET..).zip(mechanism).any(|(at, byte)| differs(at, *byte)) {
        return Err(ZmtpError::Mechanism);
    }
    Ok(input.len() >= GREETING_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn greeting(change: &[(usize, u8)]) -> Vec<u8> {
        let mut greeting = our_greeting(&NULL).to_vec();
        for (at, byte) in change {
            greeting[*at] = *byte;
        }
        greeting
    }

    #[test]
    fn our_greeting_is_libzmqs_but_for_the_role() {
        let curve = our_greeting(&CURVE);
        assert_eq!(&curve[..17], b"\xff\0\0\0\0\0\0\0\x01\x7f\x03\x01CURVE");
        assert_eq!((curve[32], our_greeting(&NULL)[32]), (1, 0));
        assert!(curve[33..].iter().chain(&curve[17..32]).all(|byte| *byte == 0));
    }

    #[rstest]
    #[case::ours(greeting(&[]), Ok(true))]
    #[case::padding(greeting(&[(1, 9), (8, 0)]), Ok(true))]
    #[case::newer(greeting(&[(10, 4), (11, 9)]), Ok(true))]
    #[case::role_and_filler(greeting(&[(32, 1), (63, 7)]), Ok(true))]
    #[case::nothing(Vec::new(), Ok(false))]
    #[case::short(greeting(&[])[..63].to_vec(), Ok(false))]
    #[case::more([greeting(&[]), vec![1]].concat(), Ok(true))]
    #[case::http(b"G".to_vec(), Err(ZmtpError::Signature))]
    #[case::tls(vec![0x16, 3, 1], Err(ZmtpError::Signature))]
    #[case::unversioned(vec![1, 0], Err(ZmtpError::Signature))]
    #[case::long_identity_of_before_2(vec![0xff, 0, 0, 0, 0, 0, 0, 0, 9, 0], Err(ZmtpError::Signature))]
    #[case::version_2(greeting(&[(10, 1)])[..11].to_vec(), Err(ZmtpError::Version(1)))]
    #[case::other_mechanism(our_greeting(&CURVE)[..13].to_vec(), Err(ZmtpError::Mechanism))]
    #[case::longer_mechanism(greeting(&[(16, b'X')]), Err(ZmtpError::Mechanism))]
    #[case::mechanism_after_the_zero(greeting(&[(31, 1)]), Err(ZmtpError::Mechanism))]
    fn greetings_are_checked(#[case] input: Vec<u8>, #[case] expected: Result<bool, ZmtpError>) {
        assert_eq!(check(&input, &NULL), expected);
    }
}
