//! Errors of resolving, listing and pulling images.

use std::time::Duration;

/// An image could not be resolved, listed or pulled. No variant ever holds a credential, a URL's query or text that a
/// registry wrote.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum ImageError {
    /// The repository, tag, manifest or blob does not exist.
    #[error("{what} is not in {location}: check its name, or build and push it")]
    NotFound {
        /// The missing object.
        what: String,
        /// The registry or directory that was searched.
        location: String,
    },
    /// The image source requires credentials, or refuses those given.
    #[error("{location} refuses access: {detail}")]
    Unauthorized {
        /// The registry that refused.
        location: String,
        /// The reason and the remedy.
        detail: String,
    },
    /// The connection failed or broke, or the answer says "try again".
    #[error("{location} cannot be reached: {detail}")]
    Unreachable {
        /// The registry that was asked.
        location: String,
        /// The cause.
        detail: String,
    },
    /// The registry limits the rate of requests.
    #[error("{location} answers that there are too many requests: try again later")]
    Throttled {
        /// The registry that answered.
        location: String,
    },
    /// A transfer stopped or was too slow.
    #[error("{what} made almost no progress for {} s", after.as_secs())]
    Stalled {
        /// The object being read.
        what: String,
        /// The timeout.
        after: Duration,
    },
    /// The HTTP status has no meaning in the registry protocol.
    #[error("{location} answered with the unexpected HTTP status {status}")]
    Unexpected {
        /// The registry that answered.
        location: String,
        /// The HTTP status.
        status: u16,
    },
    /// The bytes do not have the expected digest.
    #[error("{what} is corrupt: expected {expected}, found {found}")]
    DigestMismatch {
        /// The object.
        what: String,
        /// The digest that was requested.
        expected: String,
        /// The digest of the received bytes.
        found: String,
    },
    /// The object ends before its declared size.
    #[error("{what} is truncated: {found} of {expected} bytes")]
    Truncated {
        /// The object.
        what: String,
        /// The declared size.
        expected: u64,
        /// The bytes received.
        found: u64,
    },
    /// The object is larger than declared or allowed.
    #[error("{what} is larger than {limit}")]
    TooLarge {
        /// The object.
        what: String,
        /// The declared or allowed size or count.
        limit: u64,
    },
    /// The media type of a document or layer is not supported.
    #[error("{what} is of the media type {found:?}, which cannot be used here")]
    MediaType {
        /// The document or layer.
        what: String,
        /// Its media type, cut to 80 characters.
        found: String,
    },
    /// The object violates its format.
    #[error("{what} is malformed: {detail}")]
    Malformed {
        /// The object.
        what: String,
        /// The violated rule.
        detail: String,
    },
    /// No image exists for this machine's platform.
    #[error("{what} has no image for {wanted}: build it for that platform")]
    Platform {
        /// The image.
        what: String,
        /// The platform of this machine.
        wanted: String,
    },
    /// A location, a repository's name or the Docker configuration is not valid.
    #[error("{what} is not valid: {detail}")]
    Configuration {
        /// The invalid setting.
        what: String,
        /// The violated rule.
        detail: String,
    },
    /// A file of a layout directory could not be read.
    #[error("{what} cannot be read: {detail}")]
    Io {
        /// The file.
        what: String,
        /// The system's error message.
        detail: String,
    },
}

impl ImageError {
    /// Returns the variant's stable name, for logs and metrics.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        self.into()
    }

    /// Whether the same request may succeed later without any change here.
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
    fn names_are_stable_and_few_errors_transient() {
        let throttled = ImageError::Throttled { location: "registry".to_owned() };
        assert_eq!((throttled.as_str(), throttled.is_transient()), ("throttled", true));
        let mismatch = ImageError::DigestMismatch {
            what: "layer".to_owned(),
            expected: "a".to_owned(),
            found: "b".to_owned(),
        };
        assert_eq!((mismatch.as_str(), mismatch.is_transient()), ("digest_mismatch", false));
    }
}
