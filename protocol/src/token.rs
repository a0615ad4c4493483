//! How the router knows a job (token), how a repeated request is recognised (key), and which start of a worker or
//! router speaks (epoch, incarnation).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::name::Error;

/// One start of a router: a random number, so that no token of an earlier start is taken for one of this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Epoch(pub u64);

/// One start of a worker: a random number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Incarnation(pub u64);

/// The router's own name of one attempt of a job; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Token {
    /// The router's start.
    pub epoch: Epoch,
    /// Counts up within it.
    pub sequence: u64,
}

/// What two requests for the same work have in common: a hash of the peer's key, the action, the id, the version
/// and the checked fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JobKey(pub u128);

macro_rules! hex {
    ($name:ident, $type:ty, $kind:literal, $width:literal) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!("{:0", $width, "x}"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = Error;
            fn from_str(value: &str) -> Result<Self, Error> {
                let plain = value.len() == $width && value.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
                <$type>::from_str_radix(value, 16)
                    .ok()
                    .filter(|_| plain)
                    .map(Self)
                    .ok_or_else(|| Error::new($kind, value, concat!($width, " hex digits")))
            }
        }

        text_serde!($name);
    };
}

macro_rules! text_serde {
    ($name:ident) => {
        impl TryFrom<String> for $name {
            type Error = Error;
            fn try_from(value: String) -> Result<Self, Error> {
                value.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }
    };
}

hex!(Epoch, u64, "epoch", 16);
hex!(Incarnation, u64, "incarnation", 16);
hex!(JobKey, u128, "job key", 32);
text_serde!(Token);

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
