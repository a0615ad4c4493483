//! Repository names. A checked name is safe in a path and in a URL.

use crate::error::ImageError;

/// Checks a repository's name: components of `a-z0-9._-`, each starting with a letter or digit, joined by `/`, at most 255
/// bytes. This excludes `..`, empty and absolute names.
pub(crate) fn check(name: &str) -> Result<(), ImageError> {
    if name.len() <= 255 && name.split('/').all(is_component) {
        return Ok(());
    }
    let shown: String = name.chars().take(80).collect();
    Err(ImageError::configuration(
        format!("repository {shown:?}"),
        "components of a-z 0-9 . _ -, each starting with a letter or a digit, joined by /, at most 255 bytes",
    ))
}

fn is_component(part: &str) -> bool {
    let is_alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    part.bytes().next().is_some_and(is_alphanumeric)
        && part.bytes().all(|b| is_alphanumeric(b) || matches!(b, b'.' | b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("ruby-test-runner", true)]
    #[case("exercism/c_sharp-analyzer", true)]
    #[case("", false)]
    #[case("/etc", false)]
    #[case("a/../b", false)]
    #[case("a//b", false)]
    #[case("a/.hidden", false)]
    #[case("a?b", false)]
    #[case("a%2e", false)]
    #[case("Ruby", false)]
    #[case(&"a".repeat(256), false)]
    fn repository_names(#[case] name: &str, #[case] valid: bool) {
        assert_eq!(check(name).is_ok(), valid);
    }
}
