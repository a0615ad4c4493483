//! The list of allowed keys: a line each, of a right, a public key and, for people, a name. Lines that begin with `#` are
//! comments.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use crate::keys::PublicKey;

/// What the owner of a key may do. Whoever may administer may also submit.
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
    /// Send jobs and ask.
    Submit,
    /// Change the platform too: deploy, build, restart.
    Administer,
    /// Run jobs.
    Work,
}

/// Who may do what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allowed(BTreeMap<String, BTreeSet<Right>>);

/// What is wrong with a list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}; write `submit`, `administer` or `work`, a public key, and a name if you like")]
pub struct Mistake {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: &'static str,
}

impl Allowed {
    /// True if the owner of `key` may do `what`.
    #[must_use]
    pub fn may(&self, key: &str, what: Right) -> bool {
        self.0.get(key).is_some_and(|rights| rights.contains(&what))
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True if nobody may do anything.
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

/// Keys may hold `#`, so a comment is a line of its own; the name after the key is not looked at.
fn entry(line: &str) -> Result<(String, Right), &'static str> {
    let mut words = line.split_whitespace();
    let right = words.next().unwrap_or_default().parse().map_err(|_| "the first word is no right")?;
    let key = words.next().ok_or("there is no key")?;
    let key = key.parse::<PublicKey>().map_err(|_| "the second word is no public key")?;
    Ok((key.to_string(), right))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[test]
    fn a_list_is_read() {
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
    fn mistakes_are_found_by_their_line(#[case] text: &str, #[case] line: usize, #[case] what: &str) {
        let mistake = text.parse::<Allowed>().unwrap_err();
        assert_eq!((mistake.line, mistake.to_string().contains(what)), (line, true), "{mistake}");
    }
}
