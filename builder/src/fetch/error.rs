//! Errors of fetching a commit.

use std::io;
use std::time::Duration;

const REFERENCE_RULE: &str = "a whole sha (40 hex digits), a branch or a tag";

/// A commit could not be fetched. No message contains a credential.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum FetchError {
    /// The URL is not allowed.
    #[error("{url:?} is not fetched from: {why}")]
    BadUrl {
        /// The URL without user and password, truncated.
        url: String,
        /// The violated rule.
        why: &'static str,
    },
    /// The reference violates git's rules.
    #[error("{reference:?} is not a git reference: it must be {REFERENCE_RULE}")]
    BadReference {
        /// The reference, truncated.
        reference: String,
    },
    /// The reference is part of a sha.
    #[error(
        "{reference} looks like part of a sha, and no branch or tag has that name: give {REFERENCE_RULE}"
    )]
    ShortSha {
        /// The reference.
        reference: String,
    },
    /// The repository does not have the commit, branch or tag.
    #[error("{url} has no commit, branch or tag {reference}")]
    NoReference {
        /// The repository.
        url: String,
        /// The reference.
        reference: String,
    },
    /// The commit disappeared after it was resolved, because its branch was force-pushed.
    #[error("{url} has no commit {commit} any more: its branch was overwritten meanwhile; build it again")]
    Moved {
        /// The repository.
        url: String,
        /// The commit.
        commit: String,
    },
    /// The repository or the commit's files exceed the size limit.
    #[error("{what} of {url}: more than {limit} bytes, the limit")]
    TooLarge {
        /// The part that is too large.
        what: &'static str,
        /// The repository.
        url: String,
        /// The limit.
        limit: u64,
    },
    /// The commit exceeds the limit on the number of files.
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
        /// The path of the submodule.
        path: String,
    },
    /// A git command took too long.
    #[error("git {what} took longer than {limit:?}")]
    TimedOut {
        /// The git command.
        what: &'static str,
        /// The limit.
        limit: Duration,
    },
    /// A git command failed.
    #[error("git {what} failed with {status}: {message}")]
    Git {
        /// The git command.
        what: &'static str,
        /// Its exit status.
        status: String,
        /// Its last lines of output.
        message: String,
    },
    /// The output of a git command is malformed.
    #[error("git {what} printed unexpected output")]
    Malformed {
        /// The git command.
        what: &'static str,
    },
    /// git could not be started.
    #[error("cannot run git: {0}; is it installed?")]
    Spawn(io::Error),
    /// A file operation on this machine failed.
    #[error("cannot {what}: {source}")]
    Io {
        /// The operation.
        what: &'static str,
        /// The system's error.
        source: io::Error,
    },
    /// The caller cancelled the fetch.
    #[error("the fetch was cancelled")]
    Cancelled,
}

impl FetchError {
    pub(super) fn io(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what, source }
    }
}
