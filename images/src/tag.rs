//! The names of tags.

/// The longest name.
pub(crate) const MAX_LENGTH: usize = 128;

/// The specification's rule: `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`. Nothing else could be asked for.
pub(crate) fn is_valid(tag: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    tag.len() <= MAX_LENGTH
        && tag.bytes().next().is_some_and(word)
        && tag.bytes().all(|b| word(b) || matches!(b, b'.' | b'-'))
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
    fn tags(#[case] tag: &str, #[case] valid: bool) {
        assert_eq!(is_valid(tag), valid);
    }
}
