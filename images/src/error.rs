//! Why an image could not be resolved, listed or pulled.

use std::time::Duration;

/// Why an image could not be resolved, listed or pulled. No variant ever holds a credential, a URL's query or text
/// that a registry wrote.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Error {
    /// The repository, tag, manifest or blob does not exist.
    #[error("{what} is not in {place}: check its name, or build and push it")]
    NotFound {
        /// What was asked for.
        what: String,
        /// Where it was looked for.
        place: String,
    },
    /// The place wants credentials, or refuses those given.
    #[error("{place} refuses access: {detail}")]
    Unauthorized {
        /// Who refused.
        place: String,
        /// What was tried and what to do.
        detail: String,
    },
    /// No connection, a broken one, or an answer that says "try again".
    #[error("{place} cannot be reached: {detail}")]
    Unreachable {
        /// Who was asked.
        place: String,
        /// What happened.
        detail: String,
    },
    /// Too many requests.
    #[error("{place} answers that there are too many requests: try again later")]
    Throttled {
        /// Who answered.
        place: String,
    },
    /// Nothing, or next to nothing, came for too long.
    #[error("{what} made no progress to speak of for {} s", after.as_secs())]
    Stalled {
        /// What was being read.
        what: String,
        /// For how long nothing came.
        after: Duration,
    },
    /// An answer that the protocol does not foresee.
    #[error("{place} answered with the unexpected HTTP status {status}")]
    Unexpected {
        /// Who answered.
        place: String,
        /// The HTTP status.
        status: u16,
    },
    /// The bytes are not those that the digest names.
    #[error("{what} is corrupt: expected {expected}, found {found}")]
    DigestMismatch {
        /// What was read.
        what: String,
        /// The digest asked for.
        expected: String,
        /// The digest of what came.
        found: String,
    },
    /// It ends before its declared size.
    #[error("{what} is truncated: {found} of {expected} bytes")]
    Truncated {
        /// What was read.
        what: String,
        /// The declared size.
        expected: u64,
        /// How much there is.
        found: u64,
    },
    /// It is larger than declared, or than is allowed.
    #[error("{what} is larger than {limit}")]
    TooLarge {
        /// What was read.
        what: String,
        /// The declared or allowed size or count.
        limit: u64,
    },
    /// A kind of document or layer that cannot be used.
    #[error("{what} is of the media type {found:?}, which cannot be used here")]
    MediaType {
        /// What it is.
        what: String,
        /// Its media type, cut to 80 characters.
        found: String,
    },
    /// It breaks the rules of its format.
    #[error("{what} is malformed: {detail}")]
    Malformed {
        /// What was read.
        what: String,
        /// The rule that it breaks.
        detail: String,
    },
    /// There is no image for this machine.
    #[error("{what} has no image for {wanted}: build it for that platform")]
    Platform {
        /// What was resolved.
        what: String,
        /// The platform of this machine.
        wanted: String,
    },
    /// The place, a repository's name or the Docker configuration is not valid.
    #[error("{what} is not valid: {detail}")]
    Configuration {
        /// What is not valid.
        what: String,
        /// The rule that it breaks.
        detail: String,
    },
    /// A file of a layout directory could not be read.
    #[error("{what} cannot be read: {detail}")]
    Io {
        /// Which file.
        what: String,
        /// The system's words.
        detail: String,
    },
}

impl Error {
    /// The variant's name, as a stable word for logs and metrics.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        self.into()
    }

    /// True if the same request may well succeed later, with nothing changed by anyone here.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Throttled { .. } | Self::Stalled { .. })
    }

    pub(crate) fn media_type(what: impl Into<String>, found: &str) -> Self {
        Self::MediaType { what: what.into(), found: found.chars().take(80).collect() }
    }

    pub(crate) fn malformed(what: impl Into<String>, detail: impl std::fmt::Display) -> Self {
        Self::Malformed { what: what.into(), detail: format!("{detail}").chars().take(200).collect() }
    }

    pub(crate) fn configuration(what: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::Configuration { what: what.into(), detail: detail.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_stable_and_only_the_passing_troubles_are_transient() {
        let throttled = Error::Throttled { place: "registry".to_owned() };
        assert_eq!((throttled.as_str(), throttled.is_transient()), ("throttled", true));
        let mismatch = Error::DigestMismatch {
            what: "layer".to_owned(),
            expected: "a".to_owned(),
            found: "b".to_owned(),
        };
        assert_eq!((mismatch.as_str(), mismatch.is_transient()), ("digest_mismatch", false));
    }
}
