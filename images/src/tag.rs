//! Tag names.

/// Maximum length of a tag in bytes.
pub(crate) const MAX_LENGTH: usize = 128;

/// Whether a tag matches the specification's `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`; no registry has others.
pub(crate) fn is_valid(tag: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    tag.len() <= MAX_LENGTH
        && tag.bytes().next().is_some_and(is_word)
        && tag.bytes().all(|b| is_word(b) || matches!(b, b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("git-0123", true)]
    #[case("_x.y", true)]
    #[case("../x", false)]
    #[case("", false)]
    #[case(&"x".repeat(129), false)]
    fn tag_names(#[case] tag: &str, #[case] valid: bool) {
        assert_eq!(is_valid(tag), valid);
    }
}
