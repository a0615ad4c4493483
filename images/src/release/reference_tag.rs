//! The image tag of a git reference.

use trackyard_protocol::version::ContainerVersion;

use crate::tag;

const PREFIX: &str = "ref-";

/// Returns the image tag for a branch or git tag, but none for a commit id, which has `git-<sha>`.
pub(super) fn from_reference(reference: &str) -> Option<String> {
    let name =
        ["refs/heads/", "refs/tags/"].iter().find_map(|p| reference.strip_prefix(p)).unwrap_or(reference);
    if name.is_empty() || is_commit(name) {
        return None;
    }
    let cleaned: String = name.chars().map(|c| if is_tag_char(c) { c } else { '-' }).collect();
    let tag = if is_free(&cleaned) { cleaned } else { format!("{PREFIX}{cleaned}") };
    Some(tag.chars().take(tag::MAX_LENGTH).collect())
}

const fn is_tag_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
}

fn is_commit(name: &str) -> bool {
    name.len() == 40 && name.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Whether a tag is valid and not reserved for Trackyard.
fn is_free(name: &str) -> bool {
    let is_reserved = name.starts_with("git-")
        || name.starts_with("build-")
        || name == "latest"
        || name.parse::<ContainerVersion>().is_ok();
    !is_reserved && !name.starts_with(['.', '-'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const SHA: &str = "0123456789abcdef0123456789abcdef01234567";

    #[rstest]
    #[case("main", Some("main"))]
    #[case("refs/heads/main", Some("main"))]
    #[case("refs/tags/v1.2.3", Some("v1.2.3"))]
    #[case("feature/new parser", Some("feature-new-parser"))]
    #[case("v1+build", Some("v1-build"))]
    #[case("straße", Some("stra-e"))]
    #[case("/x", Some("ref--x"))]
    #[case(".x", Some("ref-.x"))]
    #[case("latest", Some("ref-latest"))]
    #[case("refs/tags/latest", Some("ref-latest"))]
    #[case("Latest", Some("Latest"))]
    #[case("git-x", Some("ref-git-x"))]
    #[case("git/x", Some("ref-git-x"))]
    #[case("build/2024", Some("ref-build-2024"))]
    #[case(&format!("git-{SHA}"), Some("ref-git-0123456789abcdef0123456789abcdef01234567"))]
    #[case(&format!("sha-{SHA}"), Some("ref-sha-0123456789abcdef0123456789abcdef01234567"))]
    #[case(&format!("refs/heads/{SHA}"), None)]
    #[case(SHA, None)]
    #[case("", None)]
    fn references_become_tags(#[case] reference: &str, #[case] expected: Option<&str>) {
        assert_eq!(from_reference(reference).as_deref(), expected);
    }

    #[test]
    fn every_reference_tag_is_valid_and_free() {
        let pieces = ["git-", "latest", "build", "/", "é", ".", "-", SHA, "sha-", "refs/heads/", "_", "\0\n"];
        for first in pieces {
            for second in pieces {
                for third in [String::new(), "x".repeat(200)] {
                    let reference = format!("{first}{second}{third}");
                    let Some(tag) = from_reference(&reference) else { continue };
                    assert!(tag::is_valid(&tag) && is_free(&tag), "{reference:?} became {tag:?}");
                }
            }
        }
    }
}
