//! The tags of a release, in the order of writing.

use std::time::SystemTime;

use jiff::Timestamp;
use trackyard_protocol::version::ContainerVersion;

use super::reference_tag;
use crate::error::ImageError;

/// The tags for a built image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseTags {
    version: ContainerVersion,
    build: String,
    reference_tag: Option<String>,
    latest: bool,
}

impl ReleaseTags {
    /// Makes `git-<sha>` and `build-<sha>-<YYYYMMDDTHHMMSSZ>`, for the commit `sha` (40 hex digits) built at `built_at`.
    ///
    /// # Errors
    /// If `sha` is not a full commit id, or the time is out of range.
    pub fn new(sha: &str, built_at: SystemTime) -> Result<Self, ImageError> {
        let version = format!("git-{sha}").parse::<ContainerVersion>();
        let version = version.map_err(|e| ImageError::configuration("release's commit", e.to_string()))?;
        let time = Timestamp::try_from(built_at);
        let time = time.map_err(|e| ImageError::configuration("release's time", e.to_string()))?;
        let build = format!("build-{sha}-{}", time.strftime("%Y%m%dT%H%M%SZ"));
        Ok(Self { version, build, reference_tag: None, latest: false })
    }

    /// Adds a tag for the commit's branch or git tag, given with or without `refs/…/`.
    ///
    /// Characters that an image tag cannot have become `-` (so `feature/x` is `feature-x`), and it is cut to 128
    /// characters. A tag that Trackyard reserves (`git-…`, `build-…`, `latest`, an older container version), or that does
    /// not start with a letter, digit or `_`, gets the prefix `ref-`. A commit id adds no tag.
    #[must_use]
    pub fn git_reference(self, reference: &str) -> Self {
        Self { reference_tag: reference_tag::from_reference(reference), ..self }
    }

    /// Adds `latest`, for builds of the default branch only.
    #[must_use]
    pub fn latest(self, latest: bool) -> Self {
        Self { latest, ..self }
    }

    /// Returns `git-<sha>`.
    #[must_use]
    pub const fn version(&self) -> &ContainerVersion {
        &self.version
    }

    /// Returns the tags in the order of writing: the container version first, because it decides whether the release
    /// is ignored; `latest` last.
    pub(crate) fn in_order(&self) -> Vec<Tag> {
        let immutable =
            [(self.version.as_str(), TagMutability::Immutable), (&self.build, TagMutability::Immutable)];
        let reference_tag = self.reference_tag.as_deref().map(|name| (name, TagMutability::Mutable));
        let latest = self.latest.then_some(("latest", TagMutability::Mutable));
        let all = immutable.into_iter().chain(reference_tag).chain(latest);
        all.map(|(name, mutability)| Tag { name: name.to_owned(), mutability }).collect()
    }
}

/// One tag to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tag {
    pub(crate) name: String,
    pub(crate) mutability: TagMutability,
}

/// Whether a tag may name another image later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TagMutability {
    /// The tag is never overwritten.
    Immutable,
    /// The next release with this tag overwrites it.
    Mutable,
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use std::time::{Duration, UNIX_EPOCH};

    const SHA: &str = "0123456789abcdef0123456789abcdef01234567";

    fn names(tags: &ReleaseTags) -> Vec<String> {
        tags.in_order().into_iter().map(|tag| tag.name.replace(SHA, "SHA")).collect()
    }

    #[test]
    fn version_is_first_and_latest_last() {
        let tags = ReleaseTags::new(SHA, UNIX_EPOCH + Duration::from_secs(1_700_000_000)).unwrap();
        assert_eq!(names(&tags), ["git-SHA", "build-SHA-20231114T221320Z"]);
        let all = tags.git_reference("refs/heads/main").latest(true);
        assert_eq!(names(&all), ["git-SHA", "build-SHA-20231114T221320Z", "main", "latest"]);
        let mutability: Vec<TagMutability> = all.in_order().iter().map(|tag| tag.mutability).collect();
        assert_eq!(
            mutability,
            [
                TagMutability::Immutable,
                TagMutability::Immutable,
                TagMutability::Mutable,
                TagMutability::Mutable
            ]
        );
    }

    #[rstest]
    #[case("")]
    #[case("0123456")]
    #[case("0123456789ABCDEF0123456789abcdef01234567")]
    #[case("../6789abcdef0123456789abcdef0123456789ab")]
    fn release_needs_a_full_commit_id(#[case] sha: &str) {
        assert_eq!(ReleaseTags::new(sha, UNIX_EPOCH).unwrap_err().as_str(), "configuration");
    }
}
