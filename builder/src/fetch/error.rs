//! Why there is no commit.

use std::io;
use std::time::Duration;

use super::reference::RULE;

/// Why a commit was not fetched. No message holds a credential.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Error {
    /// The URL is not one that is fetched from.
    #[error("{url:?} is not fetched from: {why}")]
    BadUrl {
        /// The URL, cut, without user and password.
        url: String,
        /// The rule that it breaks.
        why: &'static str,
    },
    /// The reference breaks git's rules.
    #[error("{reference:?} is no git reference: it must be {RULE}")]
    BadReference {
        /// The reference, cut.
        reference: String,
    },
    /// Part of a sha.
    #[error("{reference} looks like a part of a sha, and no branch or tag has that name: give {RULE}")]
    ShortSha {
        /// The reference.
        reference: String,
    },
    /// The repository has no such commit, branch or tag.
    #[error("{url} has no commit, branch or tag {reference}")]
    NoReference {
        /// The repository.
        url: String,
        /// The reference.
        reference: String,
    },
    /// The commit is gone since it was looked up: somebody forced another one onto its branch.
    #[error("{url} has no commit {commit} any more: its branch was overwritten meanwhile; build it again")]
    Moved {
        /// The repository.
        url: String,
        /// The commit.
        commit: String,
    },
    /// The repository or the commit's files are larger than this builder takes.
    #[error("{what} of {url}: more than {limit} bytes, the limit")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// The repository.
        url: String,
        /// The limit.
        limit: u64,
    },
    /// The commit has more files than this builder takes.
    #[error("the commit has more than {limit} files")]
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// The commit has submodules.
    #[error(
        "the commit has the submodule {path:?}, which is not fetched: bring its files into the repository"
    )]
    Submodule {
        /// Where.
        path: String,
    },
    /// It took too long.
    #[error("git {what} took longer than {limit:?}")]
    TimedOut {
        /// The git command.
        what: &'static str,
        /// The limit.
        limit: Duration,
    },
    /// git failed.
    #[error("git {what} failed with {status}: {said}")]
    Git {
        /// The git command.
        what: &'static str,
        /// How it ended.
        status: String,
        /// The end of what it printed.
        said: String,
    },
    /// git said what it never says.
    #[error("git {what} printed what is not understood")]
    Malformed {
        /// The git command.
        what: &'static str,
    },
    /// git cannot be run.
    #[error("cannot run git: {0}; is it installed?")]
    Spawn(io::Error),
    /// This machine's files.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// The caller did not want it any more.
    #[error("the fetch was cancelled")]
    Cancelled,
}

impl Error {
    pub(super) fn io(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what, source }
    }
}
