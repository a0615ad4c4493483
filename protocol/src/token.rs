//! How the router knows a job (token), how a repeated request is recognised (key), and which start of a worker or
//! router speaks (epoch, incarnation).

use std::fmt;
use std::str::FromStr;

use crate::name::Error;
use crate::text::as_text;

/// One start of a router: a random number, so that no token of an earlier start is taken for one of this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

/// One start of a worker: a random number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(pub u64);

/// The router's own name of one attempt of a job; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token {
    /// The router's start.
    pub epoch: Epoch,
    /// Counts up within it.
    pub sequence: u64,
}

/// What two requests for the same work have in common: a hash of the peer's key, the action, the id, the version
/// and the checked fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobKey(pub u128);

macro_rules! hex {
    ($name:ident, $type:ty, $kind:literal, $width:literal) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut digits = [0; $width];
                f.write_str(write_hex(self.0.into(), &mut digits))
            }
        }

        impl FromStr for $name {
            type Err = Error;
            fn from_str(value: &str) -> Result<Self, Error> {
                let number = read_hex(value).filter(|_| value.len() == $width);
                number
                    .and_then(|number| <$type>::try_from(number).ok())
                    .map(Self)
                    .ok_or_else(|| Error::new($kind, value, concat!($width, " hex digits")))
            }
        }

        as_text!($name);
    };
}

/// Fills `digits` from the last to the first. The standard library's formatting takes several times as long, and each
/// job has four tokens and three keys on its way.
fn write_hex(mut number: u128, digits: &mut [u8]) -> &str {
    for digit in digits.iter_mut().rev() {
        let nibble = number.to_le_bytes()[0] & 0xf;
        *digit = if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
        number >>= 4;
    }
    std::str::from_utf8(digits).unwrap_or_default()
}

/// Reads at most 32 lower-case hex digits.
fn read_hex(text: &str) -> Option<u128> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut digits = text.bytes().take(33);
    digits.try_fold(0, |number: u128, byte| Some(number << 4 | u128::from(digit(byte)?)))
}

hex!(Epoch, u64, "epoch", 16);
hex!(Incarnation, u64, "incarnation", 16);
hex!(JobKey, u128, "job key", 32);
as_text!(Token);

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.sequence)
    }
}

impl FromStr for Token {
    type Err = Error;
    fn from_str(value: &str) -> Result<Self, Error> {
        let refused = || Error::new("token", value, "16 hex digits, a hyphen and a number");
        let (epoch, sequence) = value.split_once('-').ok_or_else(refused)?;
        if !sequence.bytes().all(|b| b.is_ascii_digit()) {
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
        }

        #[test]
        fn any_text_is_a_token_or_an_error(text: String) {
            let _ = text.parse::<Token>();
            let _ = text.parse::<JobKey>();
        }
    }
}
