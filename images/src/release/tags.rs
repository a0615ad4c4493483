//! The tags of a release, in the order in which they are written.

use std::time::SystemTime;

use jiff::Timestamp;
use trackyard_protocol::version::ContainerVersion;

use super::human;
use crate::error::Error;

/// What a built image is to be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseTags {
    version: ContainerVersion,
    build: String,
    human: Option<String>,
    latest: bool,
}

impl ReleaseTags {
    /// `git-<sha>` and `build-<sha>-<YYYYMMDDTHHMMSSZ>`, for the commit `sha` (40 hex digits) built at `built_at`.
    ///
    /// # Errors
    /// When `sha` is not a full commit id, or the time is out of every calendar.
    pub fn new(sha: &str, built_at: SystemTime) -> Result<Self, Error> {
        let version = format!("git-{sha}").parse::<ContainerVersion>();
        let version = version.map_err(|e| Error::configuration("release's commit", e.to_string()))?;
        let time = Timestamp::try_from(built_at);
        let time = time.map_err(|e| Error::configuration("release's time", e.to_string()))?;
        let build = format!("build-{sha}-{}", time.strftime("%Y%m%dT%H%M%SZ"));
        Ok(Self { version, build, human: None, latest: false })
    }

    /// Also the name that people know the commit by: a branch or tag, with or without its `refs/…/`.
    ///
    /// What an image tag cannot hold becomes `-` (so `feature/x` is `feature-x`), and it ends after 128 characters. A
    /// name that is, or becomes, one of Trackyard's own (`git-…`, `build-…`, `latest`, an older container version), or
    /// that does not start with a letter, digit or `_`, gets `ref-` before it. A commit id gives no further tag.
    #[must_use]
    pub fn git_reference(self, reference: &str) -> Self {
        Self { human: human::tag(reference), ..self }
    }

    /// Also `latest`: for builds of the default branch only.
    #[must_use]
    pub fn latest(self, latest: bool) -> Self {
        Self { latest, ..self }
    }

    /// `git-<sha>`.
    #[must_use]
    pub const fn version(&self) -> &ContainerVersion {
        &self.version
    }

    /// The container version first: whoever sees it knows that the image is there; `latest` last.
    pub(crate) fn in_order(&self) -> Vec<Tag> {
        let own = [(self.version.as_str(), Lasts::ForEver), (&self.build, Lasts::ForEver)];
        let human = self.human.as_deref().map(|name| (name, Lasts::UntilTheNext));
        let latest = self.latest.then_some(("latest", Lasts::UntilTheNext));
        let all = own.into_iter().chain(human).chain(latest);
        all.map(|(name, lasts)| Tag { name: name.to_owned(), lasts }).collect()
    }
}

/// One tag to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tag {
    pub(crate) name: String,
    pub(crate) lasts: Lasts,
}

/// How long a tag names the same image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lasts {
    /// It is never overwritten.
    ForEver,
    /// The next release of the same name takes it.
    UntilTheNext,
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
    fn the_version_comes_first_and_latest_last() {
        let tags = ReleaseTags::new(SHA, UNIX_EPOCH + Duration::from_secs(1_700_000_000)).unwrap();
        assert_eq!(names(&tags), ["git-SHA", "build-SHA-20231114T221320Z"]);
        let all = tags.git_reference("refs/heads/main").latest(true);
        assert_eq!(names(&all), ["git-SHA", "build-SHA-20231114T221320Z", "main", "latest"]);
        let lasts: Vec<Lasts> = all.in_order().iter().map(|tag| tag.lasts).collect();
        assert_eq!(lasts, [Lasts::ForEver, Lasts::ForEver, Lasts::UntilTheNext, Lasts::UntilTheNext]);
    }

    #[rstest]
    #[case("")]
    #[case("0123456")]
    #[case("0123456789ABCDEF0123456789abcdef01234567")]
    #[case("../6789abcdef0123456789abcdef0123456789ab")]
    fn only_a_full_commit_id_is_released(#[case] sha: &str) {
        assert_eq!(ReleaseTags::new(sha, UNIX_EPOCH).unwrap_err().as_str(), "configuration");
    }
}
