//! Sizes and durations, written as Kubernetes writes them: `1Gi`, `500k`, `20s`, `1m30s`.

#[cfg(feature = "schema")]
mod schema;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;

use crate::name::Error;
use crate::text::write_as_text;

const BINARY: [(&str, u64); 5] =
    [("Ki", 1 << 10), ("Mi", 1 << 20), ("Gi", 1 << 30), ("Ti", 1 << 40), ("", 1)];
const DECIMAL: [(&str, u64); 4] =
    [("k", 1_000), ("M", 1_000_000), ("G", 1_000_000_000), ("T", 1_000_000_000_000)];
const SIZE_RULE: &str = "a whole number with one of Ki Mi Gi Ti k M G T or nothing, such as 512Mi";
const TIME_RULE: &str = "whole numbers each with one of h m s ms, largest first, such as 20s or 1m30s";

/// A size in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "Text")]
pub struct Bytes(pub u64);

impl From<u8> for Bytes {
    fn from(bytes: u8) -> Self {
        Self(bytes.into())
    }
}

impl FromStr for Bytes {
    type Err = Error;
    fn from_str(value: &str) -> Result<Self, Error> {
        let refused = || Error::new("size", value, SIZE_RULE);
        let unit_at = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
        let (number, unit) = value.split_at(unit_at);
        let number: u64 = number.parse().map_err(|_| refused())?;
        let (_, factor) = BINARY.iter().chain(&DECIMAL).find(|(u, _)| *u == unit).ok_or_else(refused)?;
        number.checked_mul(*factor).map(Self).ok_or_else(refused)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |(_, factor): &&(&str, u64)| self.0 > 0 && self.0.is_multiple_of(*factor);
        let (unit, factor) = BINARY.iter().filter(fits).max_by_key(|(_, f)| *f).unwrap_or(&("", 1));
        write!(f, "{}{unit}", self.0 / factor)
    }
}

/// A length of time, to the millisecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "Text")]
pub struct HumanDuration(pub Duration);

impl HumanDuration {
    /// Returns a duration of `seconds`.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }
}

impl FromStr for HumanDuration {
    type Err = Error;
    fn from_str(value: &str) -> Result<Self, Error> {
        let refused = || Error::new("duration", value, TIME_RULE);
        let mut rest = value;
        let mut total: u64 = 0;
        for (unit, factor) in [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)] {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            let (number, tail) = rest.split_at(digits);
            let ends = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
            if tail.get(..ends) != Some(unit) {
                continue;
            }
            let number: u64 = number.parse().map_err(|_| refused())?;
            total = number.checked_mul(factor).and_then(|n| total.checked_add(n)).ok_or_else(refused)?;
            rest = tail.get(ends..).unwrap_or_default();
        }
        if value.is_empty() || !rest.is_empty() {
            return Err(refused());
        }
        Ok(Self(Duration::from_millis(total)))
    }
}

impl fmt::Display for HumanDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.0.as_millis();
        if total == 0 {
            return f.write_str("0s");
        }
        for (unit, count) in [
            ("h", total / 3_600_000),
            ("m", total / 60_000 % 60),
            ("s", total / 1_000 % 60),
            ("ms", total % 1_000),
        ] {
            if count > 0 {
                write!(f, "{count}{unit}")?;
            }
        }
        Ok(())
    }
}

/// A number of processors, in thousandths: written `2`, or `500m` for a half.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "Text")]
pub struct Cpus(pub u32);

impl FromStr for Cpus {
    type Err = Error;
    fn from_str(value: &str) -> Result<Self, Error> {
        let refused =
            || Error::new("cpus", value, "a whole number, or thousandths such as 500m; more than none");
        let (number, factor) = value.strip_suffix('m').map_or((value, 1000), |number| (number, 1));
        if !number.bytes().all(|b| b.is_ascii_digit()) {
            return Err(refused());
        }
        let millis = number.parse::<u32>().ok().and_then(|n| n.checked_mul(factor)).ok_or_else(refused)?;
        if millis == 0 { Err(refused()) } else { Ok(Self(millis)) }
    }
}

impl fmt::Display for Cpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_multiple_of(1000) { write!(f, "{}", self.0 / 1000) } else { write!(f, "{}m", self.0) }
    }
}

/// What a configuration may hold: text, or a bare number (of bytes or processors; never of seconds).
#[derive(Deserialize)]
#[serde(untagged)]
enum Text {
    Number(u64),
    String(String),
}

impl TryFrom<Text> for Bytes {
    type Error = Error;
    fn try_from(text: Text) -> Result<Self, Error> {
        match text {
            Text::Number(bytes) => Ok(Self(bytes)),
            Text::String(text) => text.parse(),
        }
    }
}

impl TryFrom<Text> for HumanDuration {
    type Error = Error;
    fn try_from(text: Text) -> Result<Self, Error> {
        match text {
            Text::Number(number) => Err(Error::new("duration", &number.to_string(), TIME_RULE)),
            Text::String(text) => text.parse(),
        }
    }
}

impl TryFrom<Text> for Cpus {
    type Error = Error;
    fn try_from(text: Text) -> Result<Self, Error> {
        match text {
            Text::Number(number) => number.to_string().parse(),
            Text::String(text) => text.parse(),
        }
    }
}

write_as_text!(Bytes);
write_as_text!(HumanDuration);
write_as_text!(Cpus);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    #[rstest]
    #[case("1Gi", Some(1 << 30))]
    #[case("500Ki", Some(512_000))]
    #[case("3k", Some(3_000))]
    #[case("0", Some(0))]
    #[case("7", Some(7))]
    #[case("1.5Gi", None)]
    #[case("-1", None)]
    #[case("Gi", None)]
    #[case("99999999Ti", None)]
    #[case("1gi", None)]
    fn sizes(#[case] text: &str, #[case] bytes: Option<u64>) {
        assert_eq!(text.parse().ok(), bytes.map(Bytes));
    }

    #[rstest]
    #[case("20s", Some(20_000))]
    #[case("1m30s", Some(90_000))]
    #[case("2h5ms", Some(7_200_005))]
    #[case("250ms", Some(250))]
    #[case("0s", Some(0))]
    #[case("20", None)]
    #[case("", None)]
    #[case("30s1m", None)]
    #[case("1s1s", None)]
    #[case("1d", None)]
    #[case("s", None)]
    fn durations(#[case] text: &str, #[case] millis: Option<u64>) {
        assert_eq!(text.parse().ok(), millis.map(|m| HumanDuration(Duration::from_millis(m))));
    }

    #[rstest]
    #[case("2", Some(2000))]
    #[case("500m", Some(500))]
    #[case("0", None)]
    #[case("0.5", None)]
    #[case("+1", None)]
    #[case("m", None)]
    #[case("5000000000", None)]
    fn processors(#[case] text: &str, #[case] millis: Option<u32>) {
        assert_eq!(text.parse().ok(), millis.map(Cpus));
    }

    proptest! {
        #[test]
        fn sizes_round_trip(bytes: u64) {
            prop_assert_eq!(Bytes(bytes).to_string().parse(), Ok(Bytes(bytes)));
        }

        #[test]
        fn durations_round_trip(millis in 0_u64..1 << 50) {
            let span = HumanDuration(Duration::from_millis(millis));
            prop_assert_eq!(span.to_string().parse(), Ok(span));
        }

        #[test]
        fn any_text_is_a_size_or_an_error(text: String) {
            let _ = text.parse::<Bytes>();
            let _ = text.parse::<HumanDuration>();
        }
    }
}
