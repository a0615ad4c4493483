//! The list of allowed keys. Each line has a right, a public key and an optional name. Lines that begin with `#` are comments.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use crate::keys::PublicKey;

/// What the owner of a key may do. `Administer` includes `Submit`.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantNames,
)]
#[strum(serialize_all = "snake_case")]
pub enum Right {
    /// Submit jobs and read the status.
    Submit,
    /// Also change the platform: deploy, build, restart.
    Administer,
    /// Run jobs, as a worker.
    Work,
}

/// The rights of all allowed keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allowed(BTreeMap<String, BTreeSet<Right>>);

/// Why a list is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}; write `submit`, `administer` or `work`, a public key, and an optional name")]
pub struct Mistake {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong with the line.
    pub what: &'static str,
}

impl Allowed {
    /// Returns whether the owner of `key` has the right `what`.
    #[must_use]
    pub fn may(&self, key: &str, what: Right) -> bool {
        self.0.get(key).is_some_and(|rights| rights.contains(&what))
    }

    /// Returns the number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether the list has no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromStr for Allowed {
    type Err = Mistake;
    fn from_str(text: &str) -> Result<Self, Mistake> {
        let mut allowed = Self::default();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if !line.is_empty() && !line.starts_with('#') {
                let (key, right) = entry(line).map_err(|what| Mistake { line: number + 1, what })?;
                allowed.0.entry(key).or_default().insert(right);
            }
        }
        Ok(allowed)
    }
}

/// Parses a line. Keys may contain `#`, so a comment is a line of its own. The name after the key is ignored.
fn entry(line: &str) -> Result<(String, Right), &'static str> {
    let mut parts = line.split_whitespace();
    let right = parts.next().unwrap_or_default().parse().map_err(|_| "there is no right")?;
    let key = parts.next().ok_or("there is no key")?;
    let key = key.parse::<PublicKey>().map_err(|_| "the second word is no public key")?;
    Ok((key.to_string(), right))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[test]
    fn list_is_parsed() {
        let (a, b) = ("a".repeat(40), "b".repeat(40));
        let text = format!("# who\n\nsubmit {a} the website\n  work\t{b}\r\nadminister {a}\n");
        let allowed: Allowed = text.parse().unwrap();
        let rights = |key: &str| [Right::Submit, Right::Administer, Right::Work].map(|r| allowed.may(key, r));
        assert_eq!((rights(&a), rights(&b)), ([true, true, false], [false, false, true]));
        assert_eq!((rights(""), allowed.len()), ([false; 3], 2));
    }

    #[rstest]
    #[case("dance", 1, "no right")]
    #[case("submit", 1, "no key")]
    #[case("\n# x\nsubmit short", 3, "no public key")]
    #[case("Submit aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 1, "no right")]
    fn mistakes_have_a_line(#[case] text: &str, #[case] line: usize, #[case] what: &str) {
        let mistake = text.parse::<Allowed>().unwrap_err();
        assert_eq!((mistake.line, mistake.to_string().contains(what)), (line, true), "{mistake}");
    }
}
