//! The interface of a store for the deployed versions.

use async_trait::async_trait;
use trackyard_protocol::request::Tooling;
use trackyard_protocol::version::{ContainerVersion, PinnedVersion};

use crate::deployed::Deployed;

/// Why a change was not made. Clients see these texts, so they name no paths.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The version is not deployed.
    #[error("{0} is not deployed")]
    NotDeployed(ContainerVersion),
    /// The version is deployed by an object that the router does not manage.
    #[error(
        "{version} is deployed by the ContainerVersion {object}, which {manager} manages: unload it there"
    )]
    Managed {
        /// The version.
        version: ContainerVersion,
        /// The object's name.
        object: String,
        /// The object's manager.
        manager: String,
    },
    /// The store cannot be read or written now.
    #[error("{0}")]
    Unavailable(String),
}

/// A store for the deployed versions. Each change returns all versions as they are after it.
#[async_trait]
pub trait VersionStore: Send + Sync {
    /// Returns the deployed versions.
    fn deployed(&self) -> Deployed;

    /// Deploys a version, and creates its track if the version is the first.
    async fn deploy(&self, tooling: Tooling, version: PinnedVersion) -> Result<Deployed, StoreError>;

    /// Unloads a version.
    async fn unload(&self, tooling: Tooling, version: ContainerVersion) -> Result<Deployed, StoreError>;

    /// Replaces a track's versions, and creates the track if it is new.
    async fn update(&self, tooling: Tooling, versions: Vec<PinnedVersion>) -> Result<Deployed, StoreError>;

    /// Sets the digests of versions that were deployed without one.
    async fn pin(&self, pins: Vec<(Tooling, PinnedVersion)>) -> Result<Deployed, StoreError>;

    /// Reports that a version's digest cannot be looked up, if the store has a place for that.
    async fn report_unresolved(
        &self,
        _place: Tooling,
        _version: ContainerVersion,
        _message: String,
    ) -> Result<(), StoreError> {
        Ok(())
    }
}
