//! The deployed versions in the router's configuration.

use std::sync::Arc;

use async_trait::async_trait;
use trackyard_protocol::request::Place;
use trackyard_protocol::version::{ContainerVersion, PinnedVersion};

use super::Deployed;
use super::store::{Error, VersionStore};
use crate::config::{self, LiveConfig};

/// The deployed versions in the router's configuration.
#[derive(Debug, Clone)]
pub struct YamlStore(Arc<LiveConfig>);

impl YamlStore {
    /// The versions of a running configuration.
    #[must_use]
    pub fn new(live: Arc<LiveConfig>) -> Self {
        Self(live)
    }

    /// Changes the file on a thread where waiting for the disk is no harm.
    async fn change(
        &self,
        edit: impl FnOnce(&mut Deployed) -> Result<(), Error> + Send + 'static,
    ) -> Result<Deployed, Error> {
        let live = Arc::clone(&self.0);
        let work = move || live.change(|config| edit(&mut config.container_versions));
        let failed =
            |error: tokio::task::JoinError| Error::Unavailable(format!("the change failed: {error}"));
        let ((), config) = tokio::task::spawn_blocking(work).await.map_err(failed)??;
        Ok(config.container_versions.clone())
    }
}

impl From<config::Error> for Error {
    fn from(error: config::Error) -> Self {
        tracing::error!(%error, "the configuration cannot be changed");
        Self::Unavailable(match error {
            config::Error::Refused { refusal, .. } => {
                format!("the configuration is broken: {refusal}; mend it first")
            }
            config::Error::Io { doing, source, .. } => {
                format!("cannot {doing} the configuration: {}", source.kind())
            }
            config::Error::Missing(_) => "the configuration is missing".to_owned(),
        })
    }
}

#[async_trait]
impl VersionStore for YamlStore {
    fn deployed(&self) -> Deployed {
        self.0.current().container_versions.clone()
    }

    async fn deploy(&self, place: Place, version: PinnedVersion) -> Result<Deployed, Error> {
        let edit = move |deployed: &mut Deployed| {
            deployed.deploy(&place, version);
            Ok(())
        };
        self.change(edit).await
    }

    async fn unload(&self, place: Place, version: ContainerVersion) -> Result<Deployed, Error> {
        let edit = move |deployed: &mut Deployed| match deployed.unload(&place, &version) {
            true => Ok(()),
            false => Err(Error::NotDeployed(version)),
        };
        self.change(edit).await
    }

    async fn update(&self, place: Place, versions: Vec<PinnedVersion>) -> Result<Deployed, Error> {
        let edit = move |deployed: &mut Deployed| {
            deployed.replace(&place, &versions);
            Ok(())
        };
        self.change(edit).await
    }

    async fn pin(&self, pins: Vec<(Place, PinnedVersion)>) -> Result<Deployed, Error> {
        let edit = move |deployed: &mut Deployed| {
            for (place, pinned) in &pins {
                pinned.digest.iter().for_each(|digest| deployed.pin(place, &pinned.version, digest));
            }
            Ok(())
        };
        self.change(edit).await
    }
}
