//! Watches the resources of the worker namespace.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, future};
use kube::api::Api;
use kube::core::DeserializeGuard;
use kube::runtime::watcher::{self, Event, watcher};
use kube::runtime::{WatchStreamExt, reflector};
use kube::{Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::watch::Sender;
use tokio_util::sync::CancellationToken;
use trackyard_crds::client::log_undecodable;
use trackyard_crds::{ContainerVersion, WorkerPool};
use trackyard_daemon::readiness::Gate;

use super::{ClusterState, VersionObject, pool_cover};

/// Lifetime of a watch, shorter than load balancers allow a connection to be idle.
pub(super) const WATCH_TIMEOUT: Duration = Duration::from_secs(200);

/// The gates that open once the first lists have come.
pub struct Gates {
    /// Opens with the list of versions.
    pub versions: Gate,
    /// Opens with the list of pools.
    pub pools: Gate,
}

/// Watches the versions and pools of a namespace until `stop` is cancelled.
pub async fn watch(
    client: Client,
    namespace: &str,
    state: Sender<ClusterState>,
    gates: Gates,
    stop: CancellationToken,
) {
    let versions = watch_kind::<ContainerVersion>(Api::namespaced(client.clone(), namespace), |objects| {
        gates.versions.open();
        let versions = objects.into_iter().filter_map(read_version).collect();
        update(&state, |state| state.versions = Some(versions));
    });
    let pools = watch_kind::<WorkerPool>(Api::namespaced(client, namespace), |objects| {
        gates.pools.open();
        let pools = objects.into_iter().filter_map(pool_cover).collect();
        update(&state, |state| state.pools = pools);
    });
    stop.run_until_cancelled(future::join(versions, pools)).await;
}

fn read_version(object: &ContainerVersion) -> Option<VersionObject> {
    VersionObject::read(object)
        .inspect_err(|error| tracing::error!(object = object.name_any(), error, "ignored an invalid version"))
        .ok()
        .flatten()
}

fn update(state: &Sender<ClusterState>, change: impl FnOnce(&mut ClusterState)) {
    state.send_if_modified(|state| {
        let before = state.clone();
        change(state);
        *state != before
    });
}

/// Calls `on_change` with all readable objects of a kind, sorted by name, whenever one has changed; for the first time
/// when the first list is complete. An object that can no longer be decoded is treated as deleted.
async fn watch_kind<K>(api: Api<DeserializeGuard<K>>, mut on_change: impl FnMut(Vec<&K>))
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let (objects, writer) = reflector::store();
    let config =
        watcher::Config::default().timeout(u32::try_from(WATCH_TIMEOUT.as_secs()).unwrap_or(u32::MAX));
    let mut events = std::pin::pin!(watcher(api, config).default_backoff().reflect(writer));
    while let Some(event) = events.next().await {
        let event = match event {
            Ok(event) => event,
            Err(error) => {
                tracing::warn!(%error, kind = %K::kind(&()), "cannot watch the cluster; what is known stays in force");
                continue;
            }
        };
        if let Event::InitApply(guard) | Event::Apply(guard) = &event {
            log_undecodable(guard);
        }
        if matches!(event, Event::InitDone | Event::Apply(_) | Event::Delete(_)) {
            let mut objects: Vec<Arc<DeserializeGuard<K>>> = objects.state();
            objects.sort_by_cached_key(|object| object.name_any());
            on_change(objects.iter().filter_map(|object| object.0.as_ref().ok()).collect());
        }
    }
}
