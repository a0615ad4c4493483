//! Where the deployed versions are: in the file, or in a cluster.

use std::sync::Arc;

use tokio::sync::watch::{self, Receiver};
use tokio_util::sync::CancellationToken;
use trackyard_daemon::readiness::Readiness;

use super::Error;
use crate::args::Args;
use crate::config::{Config, LiveConfig};
use crate::versions::{VersionStore, YamlStore};
use crate::yard::{self, KubernetesStore};

/// Where the deployed versions are kept, and the configuration with them.
pub(super) struct Versions {
    pub(super) store: Arc<dyn VersionStore>,
    pub(super) configs: Receiver<Arc<Config>>,
}

impl Versions {
    /// In the configuration's file, or in a cluster.
    pub(super) async fn new(
        args: &Args,
        live: Arc<LiveConfig>,
        readiness: &Readiness,
        stop: &CancellationToken,
    ) -> Result<Self, Error> {
        let Some(namespace) = &args.namespace else {
            return Ok(Self { configs: live.subscribe(), store: Arc::new(YamlStore::new(live)) });
        };
        let client = yard::connect().await?;
        let gates = yard::Gates {
            versions: readiness.gate("versions", "the cluster has not listed its ContainerVersions yet"),
            pools: readiness.gate("pools", "the cluster has not listed its WorkerPools yet"),
        };
        let (sender, yard) = watch::channel(yard::Yard::default());
        let configs = yard::combine(live.subscribe(), yard.clone(), stop.clone());
        let store = Arc::new(KubernetesStore::new(client.clone(), namespace, yard, live));
        let (namespace, stop) = (namespace.clone(), stop.clone());
        tokio::spawn(async move { yard::watch(client, &namespace, sender, gates, stop).await });
        Ok(Self { store, configs })
    }
}
