//! The first 64 bytes of each side: signature, version, mechanism, role.

use crate::Error;

/// Bytes of a greeting.
pub(crate) const BYTES: usize = 64;

const SIGNATURE: [u8; 10] = [0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f];
const VERSION: [u8; 2] = [3, 1];
/// Bytes up to the major version.
const FIRST: usize = 11;
const MECHANISM: usize = 12;
const ROLE: usize = 32;

/// A mechanism's name, as it stands in a greeting.
pub(crate) type Mechanism = [u8; ROLE - MECHANISM];

/// No security.
pub(crate) const NULL: Mechanism = *b"NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
/// CurveZMQ.
pub(crate) const CURVE: Mechanism = *b"CURVE\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

/// What a server sends before it has heard anything: up to its major version.
///
/// A libzmq that sees another mechanism than its own leaves without telling its own; so, as libzmq does, ours is kept
/// back until the peer has sent its version, and with that mostly the rest.
pub(crate) fn first(mechanism: &Mechanism) -> Vec<u8> {
    ours(mechanism).into_iter().take(FIRST).collect()
}

/// What follows once the peer's version is there.
pub(crate) fn rest(mechanism: &Mechanism) -> Vec<u8> {
    ours(mechanism).into_iter().skip(FIRST).collect()
}

/// Whether the peer's version is there.
pub(crate) const fn has_version(input: &[u8]) -> bool {
    input.len() >= FIRST
}

fn ours(mechanism: &Mechanism) -> [u8; BYTES] {
    let role = [u8::from(*mechanism == CURVE)];
    let fields = [SIGNATURE.as_slice(), &VERSION, mechanism, &role];
    let mut greeting = [0; BYTES];
    for (to, from) in greeting.iter_mut().zip(fields.into_iter().flatten()) {
        *to = *from;
    }
    greeting
}

/// Whether `input` starts with a whole greeting. What tells it from a wrong one is looked at as soon as it is there.
///
/// Neither the padding within the signature nor the role is looked at: libzmq has the former its own way and leaves
/// the latter empty.
///
/// # Errors
///
/// [`Error::Signature`], [`Error::Version`] or [`Error::Mechanism`].
pub(crate) fn check(input: &[u8], mechanism: &Mechanism) -> Result<bool, Error> {
    let differs = |at: usize, expected: u8| input.get(at).is_some_and(|byte| *byte != expected);
    if differs(0, 0xff) || differs(9, 0x7f) {
        return Err(Error::Signature);
    }
    match input.get(SIGNATURE.len()) {
        Some(&major) if major < 3 => return Err(Error::Version(major)),
        _ => {}
    }
    if (MECHANISM..).zip(mechanism).any(|(at, byte)| differs(at, *byte)) {
        return Err(Error::Mechanism);
    }
    Ok(input.len() >= BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn greeting(change: &[(usize, u8)]) -> Vec<u8> {
        let mut greeting = ours(&NULL).to_vec();
        for (at, byte) in change {
            greeting[*at] = *byte;
        }
        greeting
    }

    #[test]
    fn ours_is_what_libzmq_sends_but_for_the_role() {
        let curve = ours(&CURVE);
        assert_eq!(&curve[..17], b"\xff\0\0\0\0\0\0\0\x01\x7f\x03\x01CURVE");
        assert_eq!((curve[32], ours(&NULL)[32]), (1, 0));
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
    #[case::http(b"G".to_vec(), Err(Error::Signature))]
    #[case::tls(vec![0x16, 3, 1], Err(Error::Signature))]
    #[case::unversioned(vec![1, 0], Err(Error::Signature))]
    #[case::long_identity_of_before_2(vec![0xff, 0, 0, 0, 0, 0, 0, 0, 9, 0], Err(Error::Signature))]
    #[case::version_2(greeting(&[(10, 1)])[..11].to_vec(), Err(Error::Version(1)))]
    #[case::other_mechanism(ours(&CURVE)[..13].to_vec(), Err(Error::Mechanism))]
    #[case::longer_mechanism(greeting(&[(16, b'X')]), Err(Error::Mechanism))]
    #[case::mechanism_after_the_zero(greeting(&[(31, 1)]), Err(Error::Mechanism))]
    fn checking(#[case] input: Vec<u8>, #[case] expected: Result<bool, Error>) {
        assert_eq!(check(&input, &NULL), expected);
    }
}
