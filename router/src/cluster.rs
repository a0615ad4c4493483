//! What the resources of the worker namespace say: which versions are deployed, and which pools may start workers.

mod client;
mod object;
mod status;
mod store;
mod watch;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch::{self as channel, Receiver};
use tokio_util::sync::CancellationToken;
use trackyard_crds::WorkerPool;
use trackyard_protocol::channel::{Topic, Topics};
use trackyard_protocol::limits::Limits;
use trackyard_protocol::request::Tooling;
use trackyard_protocol::version::ContainerVersion;

pub use client::{ConnectError, connect};
pub use object::VersionObject;
pub use store::KubernetesStore;
pub use watch::{Gates, watch};

use crate::config::{ClusterConfig, Config};
use crate::deployed::Deployed;
use crate::dispatch::PoolCover;

/// Time that a pod of a pool without autoscaling may take to start, for instance while its node is replaced.
const DEFAULT_COLD_START: Duration = Duration::from_secs(180);

/// The versions and pools of the worker namespace.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ClusterState {
    /// The deployed versions; `None` until the API server has listed them.
    pub versions: Option<Vec<VersionObject>>,
    /// The pools that may have workers.
    pub pools: Vec<PoolCover>,
}

impl ClusterState {
    /// Returns the configuration with the versions, limits and pools of the cluster. Versions in the file are ignored.
    #[must_use]
    pub fn apply_to(&self, config: &Config) -> Config {
        let versions = self.versions.as_deref().unwrap_or_default();
        let limits = versions.iter().filter_map(|object| limits(object, config));
        let cluster = ClusterConfig {
            is_loading: self.versions.is_none(),
            limits: limits.collect(),
            pools: self.pools.clone(),
        };
        let mut combined = config.clone();
        combined.container_versions = deployed(versions);
        combined.cluster = cluster;
        combined
    }
}

/// Follows the file's configuration and the cluster's state until `stop` is cancelled, and publishes both combined.
pub fn combine(
    mut configs: Receiver<Arc<Config>>,
    mut states: Receiver<ClusterState>,
    stop: CancellationToken,
) -> Receiver<Arc<Config>> {
    let (sender, combined) = channel::channel(combined_config(&configs, &states));
    tokio::spawn(stop.run_until_cancelled_owned(async move {
        loop {
            let changed = tokio::select! {
                changed = configs.changed() => changed,
                changed = states.changed() => changed,
            };
            if changed.is_err() {
                return;
            }
            configs.mark_unchanged();
            states.mark_unchanged();
            sender.send_replace(combined_config(&configs, &states));
        }
    }));
    combined
}

fn combined_config(configs: &Receiver<Arc<Config>>, states: &Receiver<ClusterState>) -> Arc<Config> {
    Arc::new(states.borrow().apply_to(&configs.borrow()))
}

/// Returns the limits of a single version. Limits with which no job could run are ignored.
fn limits(object: &VersionObject, config: &Config) -> Option<((Tooling, ContainerVersion), Limits)> {
    let defaults = config.limits.of(object.tooling.channel, &object.tooling.track);
    let limits = object.limits.as_ref()?.over(&defaults);
    if let Err(why) = limits.check() {
        tracing::error!(object = object.name, why, "ignored the limits of this version");
        return None;
    }
    Some(((object.tooling.clone(), object.pinned.version.clone()), limits))
}

/// Returns the versions as a set: two objects may name the same version.
fn deployed(versions: &[VersionObject]) -> Deployed {
    let mut deployed = Deployed::default();
    versions.iter().for_each(|object| deployed.deploy(&object.tooling, object.pinned.clone()));
    deployed
}

/// Returns the tracks that a pool may serve; `None` if it has no pods and will get none.
fn pool_cover(pool: &WorkerPool) -> Option<PoolCover> {
    let spec = &pool.spec;
    let pods = spec.autoscale.as_ref().map_or(spec.replicas, |scale| scale.max);
    if pods <= 0 || spec.suspend || pool.metadata.deletion_timestamp.is_some() {
        return None;
    }
    // Invalid topics are left out. A pool without topics would cover all tracks.
    let topics: Vec<Topic> = spec.topics.iter().filter_map(|topic| topic.parse().ok()).collect();
    (!topics.is_empty()).then(|| PoolCover {
        channel: spec.channel,
        topics: topics.into_iter().collect::<Topics>(),
        cold_start: spec.autoscale.as_ref().map_or(DEFAULT_COLD_START, |scale| scale.cold_start.0),
    })
}

#[cfg(test)]
mod tests;
