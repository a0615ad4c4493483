//! The failures of builds.

use trackyard_builder::driver::DriverError;
use trackyard_builder::fetch::FetchError;
use trackyard_images::{ImageError, ReleaseError};
use trackyard_protocol::reason::Reason;

use super::smoke;
use crate::sandbox;
use crate::store;

/// Why a build ended without a released image.
#[derive(Debug)]
pub(super) struct BuildFailure {
    pub(super) reason: Reason,
    pub(super) message: String,
}

impl BuildFailure {
    pub(super) fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

impl From<FetchError> for BuildFailure {
    fn from(error: FetchError) -> Self {
        let reason = match &error {
            FetchError::ShortSha { .. }
            | FetchError::BadReference { .. }
            | FetchError::NoReference { .. } => Reason::BadReference,
            FetchError::TooLarge { .. } => Reason::DiskLimit,
            _ => Reason::Fetch,
        };
        Self::new(reason, error.to_string())
    }
}

impl From<DriverError> for BuildFailure {
    fn from(error: DriverError) -> Self {
        let reason = match &error {
            DriverError::Failed { .. } | DriverError::NoDockerfile => Reason::BuildFailed,
            DriverError::Unsupported { .. } => Reason::Unsupported,
            DriverError::Idle(_) => Reason::IdleTime,
            DriverError::Disk(_) => Reason::DiskLimit,
            DriverError::Memory => Reason::OomKilled,
            _ => Reason::Driver,
        };
        Self::new(reason, error.to_string())
    }
}

impl From<smoke::SmokeError> for BuildFailure {
    fn from(error: smoke::SmokeError) -> Self {
        match error {
            smoke::SmokeError::Sandbox(error) => error.into(),
            error => Self::new(Reason::SmokeCheck, error.to_string()),
        }
    }
}

impl From<sandbox::SandboxError> for BuildFailure {
    fn from(error: sandbox::SandboxError) -> Self {
        Self::new(error.reason(), error.client_message())
    }
}

impl From<store::StoreError> for BuildFailure {
    fn from(error: store::StoreError) -> Self {
        Self::new(Reason::SmokeCheck, format!("the built image cannot be unpacked: {error}"))
    }
}

impl From<ReleaseError> for BuildFailure {
    fn from(error: ReleaseError) -> Self {
        Self::new(Reason::Release, format!("{}: {error}", error.as_str()))
    }
}

impl From<ImageError> for BuildFailure {
    fn from(error: ImageError) -> Self {
        Self::new(Reason::Release, error.to_string())
    }
}
