//! The tag that a git reference becomes.

use trackyard_protocol::version::ContainerVersion;

use crate::tag;

const PREFIX: &str = "ref-";

/// The tag for a branch or tag; none for a commit id, which has its own.
pub(super) fn tag(reference: &str) -> Option<String> {
    let name =
        ["refs/heads/", "refs/tags/"].iter().find_map(|p| reference.strip_prefix(p)).unwrap_or(reference);
    if name.is_empty() || is_commit(name) {
        return None;
    }
    let plain: String = name.chars().map(|c| if is_plain(c) { c } else { '-' }).collect();
    let tag = if is_free(&plain) { plain } else { format!("{PREFIX}{plain}") };
    Some(tag.chars().take(tag::MAX_LENGTH).collect())
}

const fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
}

fn is_commit(name: &str) -> bool {
    name.len() == 40 && name.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Neither a name of our own nor one that no tag may have.
fn is_free(name: &str) -> bool {
    let is_ours = name.starts_with("git-")
        || name.starts_with("build-")
        || name == "latest"
        || name.parse::<ContainerVersion>().is_ok();
    !is_ours && !name.starts_with(['.', '-'])
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
    fn references(#[case] reference: &str, #[case] expected: Option<&str>) {
        assert_eq!(tag(reference).as_deref(), expected);
    }

    #[test]
    fn any_reference_gives_a_valid_tag_that_is_none_of_ours() {
        let pieces = ["git-", "latest", "build", "/", "é", ".", "-", SHA, "sha-", "refs/heads/", "_", "\0\n"];
        for first in pieces {
            for second in pieces {
                for third in [String::new(), "x".repeat(200)] {
                    let reference = format!("{first}{second}{third}");
                    let Some(tag) = tag(&reference) else { continue };
                    assert!(tag::is_valid(&tag) && is_free(&tag), "{reference:?} became {tag:?}");
                }
            }
        }
    }
}
