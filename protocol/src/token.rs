//! What identifies a job for the router (token), a repeated request (key), and a start of a router or a worker (epoch,
//! incarnation).

use std::fmt;
use std::str::FromStr;

use crate::json::ToJson;
use crate::name::Error;
use crate::text::as_text;

/// One start of a router: a random number, so that tokens of different starts differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

/// One start of a worker: a random number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(pub u64);

/// Identifies one attempt of a job. The router never uses a token twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token {
    /// The start of the router.
    pub epoch: Epoch,
    /// The number of the attempt since that start.
    pub sequence: u64,
}

/// Identifies the work of a request: a hash of the peer's key, the action, the id, the version and the checked fields.
///
/// Aligned to eight bytes, as the types that hold it are: an alignment of sixteen doubles the work of the allocator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(C, packed(8))]
pub struct JobKey(pub u128);

macro_rules! hex {
    ($name:ident, $type:ty, $kind:literal, $width:literal) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut digits = [0; $width];
                write_hex(&self.0.to_be_bytes(), &mut digits);
                f.write_str(std::str::from_utf8(&digits).unwrap_or_default())
            }
        }

        impl FromStr for $name {
            type Err = Error;
            fn from_str(value: &str) -> Result<Self, Error> {
                let mut bytes = [0; $width / 2];
                if value.len() == $width && read_hex(value.as_bytes(), &mut bytes) {
                    return Ok(Self(<$type>::from_be_bytes(bytes)));
                }
                Err(Error::new($kind, value, concat!($width, " hex digits")))
            }
        }

        impl ToJson for $name {
            fn to_json(&self, out: &mut Vec<u8>) {
                let mut quoted = [b'"'; $width + 2];
                let [_, digits @ .., _] = &mut quoted;
                write_hex(&self.0.to_be_bytes(), digits);
                out.extend_from_slice(&quoted);
            }
        }

        as_text!($name);
    };
}

/// Writes two digits for each byte. The standard library's formatting takes several times as long, and each job has four
/// tokens and three keys written.
fn write_hex(bytes: &[u8], digits: &mut [u8]) {
    let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
    for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
        pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 0xf)]);
    }
}

/// Reads one byte from two lower-case digits each. Returns whether `digits` held nothing else.
fn read_hex(digits: &[u8], bytes: &mut [u8]) -> bool {
    let mut seen = 0;
    for (byte, pair) in bytes.iter_mut().zip(digits.as_chunks().0) {
        let [high, low] = pair.map(nibble);
        seen |= high | low;
        *byte = high << 4 | low & 0xf;
    }
    seen & NO_DIGIT == 0
}

/// Greater than the value of any digit.
const NO_DIGIT: u8 = 0x10;

/// Returns the value of a digit, or [`NO_DIGIT`].
const fn nibble(digit: u8) -> u8 {
    let (number, letter) = (digit.wrapping_sub(b'0'), digit.wrapping_sub(b'a'));
    if number < 10 {
        number
    } else if letter < 6 {
        letter + 10
    } else {
        NO_DIGIT
    }
}

const EPOCH_DIGITS: usize = 16;

hex!(Epoch, u64, "epoch", 16);
hex!(Incarnation, u64, "incarnation", 16);
hex!(JobKey, u128, "job key", 32);
as_text!(Token);

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.sequence)
    }
}

impl ToJson for Token {
    fn to_json(&self, out: &mut Vec<u8>) {
        self.epoch.to_json(out);
        // The hyphen replaces the closing quote of the epoch.
        out.pop();
        out.push(b'-');
        self.sequence.to_json(out);
        out.push(b'"');
    }
}

impl FromStr for Token {
    type Err = Error;
    fn from_str(value: &str) -> Result<Self, Error> {
        let refused = || Error::new("token", value, "16 hex digits, a hyphen and a number");
        let (epoch, sequence) = value.split_at_checked(EPOCH_DIGITS).ok_or_else(refused)?;
        let sequence = sequence.strip_prefix('-').ok_or_else(refused)?;
        if sequence.starts_with('+') {
            return Err(refused());
        }
        Ok(Self { epoch: epoch.parse()?, sequence: sequence.parse().map_err(|_| refused())? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn tokens_and_keys_round_trip(epoch: u64, sequence: u64, key: u128) {
            let token = Token { epoch: Epoch(epoch), sequence };
            prop_assert_eq!(token.to_string().parse(), Ok(token));
            prop_assert_eq!(JobKey(key).to_string().parse(), Ok(JobKey(key)));
            let mut written = Vec::new();
            token.to_json(&mut written);
            JobKey(key).to_json(&mut written);
            prop_assert_eq!(String::from_utf8(written).unwrap(), format!("\"{epoch:016x}-{sequence}\"\"{key:032x}\""));
        }

        #[test]
        fn any_text_parses_or_fails(text: String) {
            let _ = text.parse::<Token>();
            let _ = text.parse::<JobKey>();
        }
    }
}
