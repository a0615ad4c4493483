//! Follows the yard's resources.

mod objects;

use std::fmt::Debug;

use futures_util::{StreamExt, future};
use kube::api::Api;
use kube::core::DeserializeGuard;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, watcher};
use kube::{Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::watch::Sender;
use tokio_util::sync::CancellationToken;
use trackyard_crds::{ContainerVersion, WorkerPool};
use trackyard_daemon::readiness::Gate;

use objects::Objects;

use super::object::Version;
use super::{Yard, pools};

/// Below what load balancers allow a connection without a word.
pub(super) const WATCH_SECONDS: u32 = 200;

/// What is open once the first lists have come.
pub struct Gates {
    /// The versions.
    pub versions: Gate,
    /// The pools.
    pub pools: Gate,
}

/// Follows the versions and the pools of a namespace until `stop` is cancelled.
pub async fn watch(
    client: Client,
    namespace: &str,
    yard: Sender<Yard>,
    gates: Gates,
    stop: CancellationToken,
) {
    let versions = follow::<ContainerVersion>(Api::namespaced(client.clone(), namespace), |all| {
        gates.versions.open();
        let read = all.into_iter().filter_map(understood).collect();
        change(&yard, |yard| yard.versions = Some(read));
    });
    let pools = follow::<WorkerPool>(Api::namespaced(client, namespace), |all| {
        gates.pools.open();
        let covers = all.into_iter().filter_map(pools::cover).collect();
        change(&yard, |yard| yard.pools = covers);
    });
    stop.run_until_cancelled(future::join(versions, pools)).await;
}

fn understood(object: &ContainerVersion) -> Option<Version> {
    let told =
        |error: &String| tracing::error!(object = object.name_any(), error, "this version is left out");
    Version::read(object).inspect_err(told).ok().flatten()
}

fn change(yard: &Sender<Yard>, change: impl FnOnce(&mut Yard)) {
    yard.send_if_modified(|yard| {
        let before = yard.clone();
        change(yard);
        *yard != before
    });
}

/// Gives all objects of a kind whenever one has changed, first when the first list is whole. One that cannot be read
/// stops no other.
async fn follow<K>(api: Api<DeserializeGuard<K>>, mut take: impl FnMut(Vec<&K>))
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let config = watcher::Config::default().timeout(WATCH_SECONDS);
    let mut events = std::pin::pin!(watcher(api, config).default_backoff());
    let mut objects = Objects::default();
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                if objects.apply(event) {
                    take(objects.all().collect());
                }
            }
            Err(error) => {
                tracing::warn!(%error, kind = %K::kind(&()), "cannot follow the cluster; what is known stays");
            }
        }
    }
}
