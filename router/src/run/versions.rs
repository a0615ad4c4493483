//! Chooses where the deployed versions are kept: in the file, or in a cluster.

use std::sync::Arc;

use tokio::sync::watch::Receiver;
use tokio_util::sync::CancellationToken;
use trackyard_daemon::readiness::Readiness;

use super::Error;
use crate::args::Args;
use crate::config::{Config, LiveConfig};
use crate::versions::{VersionStore, YamlStore};

/// The store of the deployed versions, and the configuration with them.
pub(super) struct Versions {
    pub(super) store: Arc<dyn VersionStore>,
    pub(super) configs: Receiver<Arc<Config>>,
}

impl Versions {
    /// Uses the cluster if `--namespace` is given, and the configuration file otherwise.
    pub(super) async fn new(
        args: &Args,
        live: Arc<LiveConfig>,
        readiness: &Readiness,
        stop: &CancellationToken,
    ) -> Result<Self, Error> {
        match &args.namespace {
            Some(namespace) => Self::of_cluster(namespace, live, readiness, stop).await,
            None => Ok(Self { configs: live.subscribe(), store: Arc::new(YamlStore::new(live)) }),
        }
    }

    #[cfg(feature = "cluster")]
    async fn of_cluster(
        namespace: &str,
        live: Arc<LiveConfig>,
        readiness: &Readiness,
        stop: &CancellationToken,
    ) -> Result<Self, Error> {
        use crate::cluster::{ClusterState, Gates, KubernetesStore, combine, connect, watch};

        let client = connect().await?;
        let gates = Gates {
            versions: readiness.gate("versions", "the cluster has not listed its ContainerVersions yet"),
            pools: readiness.gate("pools", "the cluster has not listed its WorkerPools yet"),
        };
        let (sender, objects) = tokio::sync::watch::channel(ClusterState::default());
        let configs = combine(live.subscribe(), objects.clone(), stop.clone());
        let store = Arc::new(KubernetesStore::new(client.clone(), namespace, objects, live));
        let namespace = namespace.to_owned();
        let stop = stop.clone();
        tokio::spawn(async move { watch(client, &namespace, sender, gates, stop).await });
        Ok(Self { store, configs })
    }

    #[cfg(not(feature = "cluster"))]
    async fn of_cluster(
        _: &str,
        _: Arc<LiveConfig>,
        _: &Readiness,
        _: &CancellationToken,
    ) -> Result<Self, Error> {
        Err(Error::NoClusterSupport)
    }
}
