//! Why a build ended without a released image.

use trackyard_builder::{driver, fetch};
use trackyard_images::{Error as ImagesError, ReleaseError};
use trackyard_protocol::reason::Reason;

use super::smoke;
use crate::sandbox;
use crate::store;

/// A build's end without a release.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) reason: Reason,
    pub(super) message: String,
}

impl Failed {
    pub(super) fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

impl From<fetch::Error> for Failed {
    fn from(error: fetch::Error) -> Self {
        let reason = match &error {
            fetch::Error::ShortSha { .. }
            | fetch::Error::BadReference { .. }
            | fetch::Error::NoReference { .. } => Reason::BadReference,
            fetch::Error::TooLarge { .. } => Reason::DiskLimit,
            _ => Reason::Fetch,
        };
        Self::new(reason, error.to_string())
    }
}

impl From<driver::Error> for Failed {
    fn from(error: driver::Error) -> Self {
        let reason = match &error {
            driver::Error::Failed { .. } | driver::Error::NoDockerfile => Reason::BuildFailed,
            driver::Error::Unsupported { .. } => Reason::Unsupported,
            driver::Error::Idle(_) => Reason::IdleTime,
            driver::Error::Disk(_) => Reason::DiskLimit,
            driver::Error::Memory => Reason::OomKilled,
            _ => Reason::Driver,
        };
        Self::new(reason, error.to_string())
    }
}

impl From<smoke::Error> for Failed {
    fn from(error: smoke::Error) -> Self {
        match error {
            smoke::Error::Sandbox(error) => error.into(),
            error => Self::new(Reason::SmokeCheck, error.to_string()),
        }
    }
}

impl From<sandbox::Error> for Failed {
    fn from(error: sandbox::Error) -> Self {
        Self::new(error.reason(), error.public())
    }
}

impl From<store::Error> for Failed {
    fn from(error: store::Error) -> Self {
        Self::new(Reason::SmokeCheck, format!("the built image cannot be unpacked: {error}"))
    }
}

impl From<ReleaseError> for Failed {
    fn from(error: ReleaseError) -> Self {
        Self::new(Reason::Release, format!("{}: {error}", error.as_str()))
    }
}

impl From<ImagesError> for Failed {
    fn from(error: ImagesError) -> Self {
        Self::new(Reason::Release, error.to_string())
    }
}
