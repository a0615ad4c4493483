//! Where the deployed versions are kept.

use async_trait::async_trait;
use trackyard_protocol::request::Place;
use trackyard_protocol::version::{ContainerVersion, PinnedVersion};

use super::Deployed;

/// Why a change was not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The version is not deployed.
    #[error("{0} is not deployed")]
    NotDeployed(ContainerVersion),
    /// It is deployed by what somebody else manages.
    #[error(
        "{version} is deployed by the ContainerVersion {object}, which {manager} manages: unload it there"
    )]
    Managed {
        /// The version.
        version: ContainerVersion,
        /// The resource's name.
        object: String,
        /// Who manages it.
        manager: String,
    },
    /// The store cannot be read or written now; the text names no path, because clients see it.
    #[error("{0}")]
    Unavailable(String),
}

/// Where the deployed versions are kept. Each change gives all versions as they are after it.
#[async_trait]
pub trait VersionStore: Send + Sync {
    /// The deployed versions.
    fn deployed(&self) -> Deployed;

    /// Deploys a version, and makes its track if it is the first.
    async fn deploy(&self, place: Place, version: PinnedVersion) -> Result<Deployed, Error>;

    /// Unloads a version.
    async fn unload(&self, place: Place, version: ContainerVersion) -> Result<Deployed, Error>;

    /// Replaces a track's versions, and makes the track if it is new.
    async fn update(&self, place: Place, versions: Vec<PinnedVersion>) -> Result<Deployed, Error>;

    /// Notes the digests of versions that were deployed without one.
    async fn pin(&self, pins: Vec<(Place, PinnedVersion)>) -> Result<Deployed, Error>;

    /// Notes, where that can be noted, that a version's digest cannot be looked up.
    async fn unresolved(
        &self,
        _place: Place,
        _version: ContainerVersion,
        _message: String,
    ) -> Result<(), Error> {
        Ok(())
    }
}
