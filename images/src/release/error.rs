//! Errors of releasing an image.

use std::time::Duration;

use crate::error::ImageError;

/// An image could not be released. No variant ever holds a credential, a URL's query or text that a registry wrote.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum ReleaseError {
    /// The output directory of the build is not one whole image.
    #[error("the built image cannot be released: {what}: {detail}; build it again, or with another driver")]
    BadLayout {
        /// The file or document.
        what: String,
        /// The violated rule.
        detail: String,
    },
    /// The bytes do not have the expected digest.
    #[error("{what} is corrupt: expected {expected}, found {found}; build it again")]
    DigestMismatch {
        /// The object that was read or stored.
        what: String,
        /// The digest that the manifest names.
        expected: String,
        /// The digest that was found instead.
        found: String,
    },
    /// The object is larger than is allowed.
    #[error("{what} is larger than {limit}: make it smaller")]
    TooLarge {
        /// The object.
        what: String,
        /// The allowed size or count.
        limit: u64,
    },
    /// The image is built for another platform than the workers'.
    #[error("{what} is not an image for {wanted}: build it for that platform")]
    Platform {
        /// The object.
        what: String,
        /// The platform that is needed.
        wanted: String,
    },
    /// The registry refuses the write for good.
    #[error("{location} refuses {what} (HTTP status {status}{}): see that the credentials may push to this repository, and that the registry takes pushes", code_suffix(*.code))]
    Refused {
        /// The registry that refused.
        location: String,
        /// The object to be written.
        what: String,
        /// The HTTP status.
        status: u16,
        /// The registry's error code, if the specification defines it.
        code: Option<&'static str>,
    },
    /// The registry is out of space or quota.
    #[error("{location} has no room for {what} (HTTP status {status}): free some, or raise its limits")]
    Full {
        /// The registry that refused.
        location: String,
        /// The object to be written.
        what: String,
        /// The HTTP status.
        status: u16,
    },
    /// The image source requires credentials, or refuses those given.
    #[error("{location} refuses access: {detail}")]
    Unauthorized {
        /// The registry that refused.
        location: String,
        /// The reason and the remedy.
        detail: String,
    },
    /// The connection failed, or the answer says "try again".
    #[error("{location} cannot be reached: {detail}; try again later")]
    Unreachable {
        /// The registry that was asked.
        location: String,
        /// The cause.
        detail: String,
    },
    /// The connection broke during a transfer.
    #[error("{location} dropped the connection while {what} was sent: {detail}; try again later")]
    Dropped {
        /// The registry.
        location: String,
        /// The object being sent.
        what: String,
        /// The cause.
        detail: String,
    },
    /// A transfer stopped for too long.
    #[error("{what} made no progress for {} s; try again later", after.as_secs())]
    Stalled {
        /// The object being written.
        what: String,
        /// The timeout.
        after: Duration,
    },
    /// The registry limits the rate of requests.
    #[error("{location} answers that there are too many requests: try again later")]
    Throttled {
        /// The registry that answered.
        location: String,
    },
    /// The answer violates the registry protocol or a security rule.
    #[error("{location} answers in a way that is not allowed: {detail}")]
    BadAnswer {
        /// The registry that answered.
        location: String,
        /// The violated rule.
        detail: String,
    },
    /// A tag was written but does not appear.
    #[error("{location} accepted {what} but does not show it: check whether someone deletes tags there")]
    Unconfirmed {
        /// The registry that accepted it.
        location: String,
        /// The tag.
        what: String,
    },
    /// A location, a repository's name or the Docker configuration is not valid.
    #[error("{what} is not valid: {detail}")]
    Configuration {
        /// The invalid setting.
        what: String,
        /// The violated rule.
        detail: String,
    },
    /// A file of the target cannot be read or written.
    #[error("{what} cannot be read or written: {detail}")]
    Io {
        /// The file.
        what: String,
        /// The system's error message.
        detail: String,
    },
    /// The caller cancelled the release.
    #[error("the release was cancelled")]
    Cancelled,
}

fn code_suffix(code: Option<&'static str>) -> String {
    code.map(|code| format!(", {code}")).unwrap_or_default()
}

impl ReleaseError {
    /// Returns the variant's stable name, for logs and metrics.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        self.into()
    }

    /// Whether the same release may succeed later without any change here.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. } | Self::Dropped { .. } | Self::Stalled { .. } | Self::Throttled { .. }
        )
    }

    /// Converts an error of reading the built image.
    pub(crate) fn from_layout(error: ImageError) -> Self {
        match error {
            ImageError::NotFound { what, .. } => Self::BadLayout { what, detail: "it is missing".to_owned() },
            ImageError::Truncated { what, expected, found } => {
                Self::BadLayout { what, detail: format!("it has {found} of {expected} bytes") }
            }
            ImageError::MediaType { what, found } => {
                Self::BadLayout { what, detail: format!("the media type {found:?} cannot be used here") }
            }
            ImageError::Malformed { what, detail }
            | ImageError::Io { what, detail }
            | ImageError::Configuration { what, detail } => Self::BadLayout { what, detail },
            other => Self::from(other),
        }
    }
}

/// Converts an error of the target.
impl From<ImageError> for ReleaseError {
    fn from(error: ImageError) -> Self {
        match error {
            ImageError::Unauthorized { location, detail } => Self::Unauthorized { location, detail },
            ImageError::Unreachable { location, detail } => Self::Unreachable { location, detail },
            ImageError::Throttled { location } => Self::Throttled { location },
            ImageError::Stalled { what, after } => Self::Stalled { what, after },
            ImageError::DigestMismatch { what, expected, found } => {
                Self::DigestMismatch { what, expected, found }
            }
            ImageError::TooLarge { what, limit } => Self::TooLarge { what, limit },
            ImageError::Platform { what, wanted } => Self::Platform { what, wanted },
            ImageError::Configuration { what, detail } => Self::Configuration { what, detail },
            ImageError::Io { what, detail } => Self::Io { what, detail },
            ImageError::Unexpected { location, status } => {
                Self::BadAnswer { location, detail: format!("the HTTP status {status}") }
            }
            ImageError::NotFound { what, location } => {
                Self::BadAnswer { location, detail: format!("{what} is not there") }
            }
            ImageError::Malformed { what, detail } => Self::BadAnswer { location: what, detail },
            ImageError::MediaType { what, found } => {
                Self::BadAnswer { location: what, detail: format!("the media type {found:?}") }
            }
            ImageError::Truncated { what, .. } => {
                Self::BadAnswer { location: what, detail: "it ends early".to_owned() }
            }
        }
    }
}
