//! Why an image could not be released.

use std::time::Duration;

use crate::error::Error;

/// Why an image could not be released. No variant ever holds a credential, a URL's query or text that a registry
/// wrote.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum ReleaseError {
    /// The directory that the build left is not one whole image.
    #[error("the built image cannot be released: {what}: {detail}; build it again, or with another driver")]
    BadLayout {
        /// Which file or document.
        what: String,
        /// The rule that it breaks.
        detail: String,
    },
    /// Bytes are not those that their digest names.
    #[error("{what} is corrupt: expected {expected}, found {found}; build it again")]
    DigestMismatch {
        /// What was read or stored.
        what: String,
        /// The digest that the manifest names.
        expected: String,
        /// What was found instead.
        found: String,
    },
    /// It is larger than is allowed.
    #[error("{what} is larger than {limit}: make it smaller")]
    TooLarge {
        /// What was read.
        what: String,
        /// The allowed size or count.
        limit: u64,
    },
    /// The image is not for this yard's machines.
    #[error("{what} is not an image for {wanted}: build it for that platform")]
    Platform {
        /// What was read.
        what: String,
        /// The platform that is needed.
        wanted: String,
    },
    /// The place says no, and would again.
    #[error("{place} refuses {what} (HTTP status {status}{}): see that the credentials may push to this repository, and that the registry takes pushes", said(*.code))]
    Refused {
        /// Who refused.
        place: String,
        /// What was to be written.
        what: String,
        /// The HTTP status.
        status: u16,
        /// The registry's code for it, if it is one that the specification knows.
        code: Option<&'static str>,
    },
    /// The place has no room.
    #[error("{place} has no room for {what} (HTTP status {status}): free some, or raise its limits")]
    Full {
        /// Who refused.
        place: String,
        /// What was to be written.
        what: String,
        /// The HTTP status.
        status: u16,
    },
    /// The place wants credentials, or refuses those given.
    #[error("{place} refuses access: {detail}")]
    Unauthorized {
        /// Who refused.
        place: String,
        /// What was tried and what to do.
        detail: String,
    },
    /// No connection, or an answer that says "try again".
    #[error("{place} cannot be reached: {detail}; try again later")]
    Unreachable {
        /// Who was asked.
        place: String,
        /// What happened.
        detail: String,
    },
    /// The connection broke while something was sent.
    #[error("{place} dropped the connection while {what} was sent: {detail}; try again later")]
    Dropped {
        /// Who was sent to.
        place: String,
        /// What was being sent.
        what: String,
        /// What happened.
        detail: String,
    },
    /// Nothing moved for too long.
    #[error("{what} made no progress for {} s; try again later", after.as_secs())]
    Stalled {
        /// What was being written.
        what: String,
        /// For how long nothing moved.
        after: Duration,
    },
    /// Too many requests.
    #[error("{place} answers that there are too many requests: try again later")]
    Throttled {
        /// Who answered.
        place: String,
    },
    /// An answer that the protocol does not foresee, or that is not allowed.
    #[error("{place} answers in a way that is not allowed: {detail}")]
    BadAnswer {
        /// Who answered.
        place: String,
        /// The rule that it breaks.
        detail: String,
    },
    /// It was written, but is not there.
    #[error("{place} took {what} but does not show it: look whether someone deletes tags there")]
    Unconfirmed {
        /// Who took it.
        place: String,
        /// What was written.
        what: String,
    },
    /// The place, a repository's name or the Docker configuration is not valid.
    #[error("{what} is not valid: {detail}")]
    Configuration {
        /// What is not valid.
        what: String,
        /// The rule that it breaks.
        detail: String,
    },
    /// A file of the place cannot be read or written.
    #[error("{what} cannot be read or written: {detail}")]
    Io {
        /// Which file.
        what: String,
        /// The system's words.
        detail: String,
    },
    /// The caller did not want it any more.
    #[error("the release was cancelled")]
    Cancelled,
}

fn said(code: Option<&'static str>) -> String {
    code.map(|code| format!(", {code}")).unwrap_or_default()
}

impl ReleaseError {
    /// The variant's name, as a stable word for logs and metrics.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        self.into()
    }

    /// True if the same release may well succeed later, with nothing changed by anyone here.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. } | Self::Dropped { .. } | Self::Stalled { .. } | Self::Throttled { .. }
        )
    }

    /// An error met while reading what the build left.
    pub(crate) fn of_layout(error: Error) -> Self {
        match error {
            Error::NotFound { what, .. } => Self::BadLayout { what, detail: "it is missing".to_owned() },
            Error::Truncated { what, expected, found } => {
                Self::BadLayout { what, detail: format!("it has {found} of {expected} bytes") }
            }
            Error::MediaType { what, found } => {
                Self::BadLayout { what, detail: format!("the media type {found:?} cannot be used here") }
            }
            Error::Malformed { what, detail }
            | Error::Io { what, detail }
            | Error::Configuration { what, detail } => Self::BadLayout { what, detail },
            other => Self::from(other),
        }
    }
}

/// An error of the place.
impl From<Error> for ReleaseError {
    fn from(error: Error) -> Self {
        match error {
            Error::Unauthorized { place, detail } => Self::Unauthorized { place, detail },
            Error::Unreachable { place, detail } => Self::Unreachable { place, detail },
            Error::Throttled { place } => Self::Throttled { place },
            Error::Stalled { what, after } => Self::Stalled { what, after },
            Error::DigestMismatch { what, expected, found } => Self::DigestMismatch { what, expected, found },
            Error::TooLarge { what, limit } => Self::TooLarge { what, limit },
            Error::Platform { what, wanted } => Self::Platform { what, wanted },
            Error::Configuration { what, detail } => Self::Configuration { what, detail },
            Error::Io { what, detail } => Self::Io { what, detail },
            Error::Unexpected { place, status } => {
                Self::BadAnswer { place, detail: format!("the HTTP status {status}") }
            }
            Error::NotFound { what, place } => {
                Self::BadAnswer { place, detail: format!("{what} is not there") }
            }
            Error::Malformed { what, detail } => Self::BadAnswer { place: what, detail },
            Error::MediaType { what, found } => {
                Self::BadAnswer { place: what, detail: format!("the media type {found:?}") }
            }
            Error::Truncated { what, .. } => {
                Self::BadAnswer { place: what, detail: "it ends early".to_owned() }
            }
        }
    }
}
