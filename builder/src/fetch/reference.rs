//! Git references: a commit id, a branch or a tag.

use std::fmt;
use std::str::FromStr;

use super::error::FetchError;

/// A commit id.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Commit(String);

impl Commit {
    /// Returns the 40 hex digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        (text.len() == 40 && text.bytes().all(is_hex)).then(|| Self(text.to_owned()))
    }
}

impl fmt::Display for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A reference to build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GitReference {
    /// A commit.
    Sha(Commit),
    /// A branch or a tag, with or without `refs/heads/` or `refs/tags/`.
    Name(String),
}

impl FromStr for GitReference {
    type Err = FetchError;
    fn from_str(text: &str) -> Result<Self, FetchError> {
        if let Some(commit) = Commit::parse(&text.to_ascii_lowercase()) {
            return Ok(Self::Sha(commit));
        }
        if is_name(text) {
            return Ok(Self::Name(text.to_owned()));
        }
        Err(FetchError::BadReference { reference: text.chars().take(100).collect() })
    }
}

impl fmt::Display for GitReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sha(commit) => commit.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// Whether a text looks like the start of a sha.
pub(super) fn is_short_sha(text: &str) -> bool {
    (4..40).contains(&text.len()) && text.bytes().all(is_hex)
}

const fn is_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

fn is_component(part: &str) -> bool {
    !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock") && !part.ends_with('.')
}

/// Whether a name satisfies git's rules (git-check-ref-format) and does not start like an option.
fn is_name(text: &str) -> bool {
    text.len() <= 255
        && text.bytes().all(|b| b.is_ascii_graphic() && !b"~^:?*[\\".contains(&b))
        && !text.starts_with('-')
        && !text.contains("..")
        && !text.contains("@{")
        && text != "@"
        && text.split('/').all(is_component)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("main", true)]
    #[case("feature/x-1", true)]
    #[case("v1.0.0", true)]
    #[case("refs/tags/v1", true)]
    #[case("", false)]
    #[case("-x", false)]
    #[case("a..b", false)]
    #[case("a//b", false)]
    #[case("/a", false)]
    #[case("a/", false)]
    #[case("a.lock", false)]
    #[case(".a", false)]
    #[case("a b", false)]
    #[case("a^{}", false)]
    #[case("a@{1}", false)]
    #[case("@", false)]
    #[case("a:b", false)]
    #[case("HEAD~1", false)]
    #[case("a\u{7f}", false)]
    #[case("é", false)]
    fn reference_names(#[case] text: &str, #[case] valid: bool) {
        assert_eq!(text.parse::<GitReference>().is_ok(), valid);
    }

    #[test]
    fn forty_hex_digits_are_a_commit() {
        let sha = "0123456789ABCDEF0123456789abcdef01234567";
        assert!(
            matches!(sha.parse(), Ok(GitReference::Sha(commit)) if commit.as_str() == sha.to_lowercase())
        );
        assert!(is_short_sha("0123abc") && !is_short_sha("main") && !is_short_sha("abc"));
    }
}
