//! Keeps the deployed versions in the configuration file.
use std::sync::Arc;

use async_trait::async_trait;
use trackyard_protocol::request::Tooling;
use trackyard_protocol::version::{ContainerVersion, PinnedVersion};

use super::store::{StoreError, VersionStore};
use crate::config::{ConfigError, LiveConfig};
use crate::deployed::Deployed;

/// The deployed versions in the configuration file.
#[derive(Debug, Clone)]
pub struct YamlStore(Arc<LiveConfig>);

impl YamlStore {
    /// A store over the running configuration.
    #[must_use]
    pub fn new(live: Arc<LiveConfig>) -> Self {
        Self(live)
    }

    /// Changes the file on a thread that may block on the disk.
    async fn change(
        &self,
        edit: impl FnOnce(&mut Deployed) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<Deployed, StoreError> {
        let live = Arc::clone(&self.0);
        let work = move || live.change(|config| edit(&mut config.container_versions));
        let result = tokio::task::spawn_blocking(work).await;
        let ((), config) =
            result.map_err(|error| StoreError::Unavailable(format!("the change failed: {error}")))??;
        Ok(config.container_versions.clone())
    }
}

impl From<ConfigError> for StoreError {
    fn from(error: ConfigError) -> Self {
        tracing::error!(%error, "the configuration cannot be changed");
        Self::Unavailable(match error {
            ConfigError::Refused { refusal, .. } => {
                format!("the configuration is broken: {refusal}; fix it and try again")
            }
            ConfigError::Io { doing, source, .. } => {
                format!("cannot {doing} the configuration: {}", source.kind())
            }
            ConfigError::Missing(_) => "the configuration is missing".to_owned(),
        })
    }
}

#[async_trait]
impl VersionStore for YamlStore {
    fn deployed(&self) -> Deployed {
        self.0.current().container_versions.clone()
    }

    async fn deploy(&self, tooling: Tooling, version: PinnedVersion) -> Result<Deployed, StoreError> {
        self.change(move |deployed| {
            deployed.deploy(&tooling, version);
            Ok(())
        })
        .await
    }

    async fn unload(&self, tooling: Tooling, version: ContainerVersion) -> Result<Deployed, StoreError> {
        self.change(move |deployed| match deployed.unload(&tooling, &version) {
            true => Ok(()),
            false => Err(StoreError::NotDeployed(version)),
        })
        .await
    }

    async fn update(&self, tooling: Tooling, versions: Vec<PinnedVersion>) -> Result<Deployed, StoreError> {
        self.change(move |deployed| {
            deployed.replace(&tooling, &versions);
            Ok(())
        })
        .await
    }

    async fn pin(&self, pins: Vec<(Tooling, PinnedVersion)>) -> Result<Deployed, StoreError> {
        self.change(move |deployed| {
            for (tooling, pinned) in &pins {
                pinned.digest.iter().for_each(|digest| deployed.pin(tooling, &pinned.version, digest));
            }
            Ok(())
        })
        .await
    }
}
