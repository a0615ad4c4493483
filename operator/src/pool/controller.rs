//! Watches pools, their children and their pods, and reconciles a pool whenever something of it has changed.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt, future};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::Api;
use kube::core::DeserializeGuard;
use kube::core::error_boundary::InvalidObject;
use kube::runtime::controller::{self, Action, Controller};
use kube::runtime::reflector::{ObjectRef, Store, store};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{Predicate, PredicateConfig, WatchStreamExt, predicates};
use kube::{Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use trackyard_crds::WorkerPool;
use trackyard_daemon::readiness::Gate;

use super::backoff::Backoff;
use super::build::{POOL, Settings};
use super::dereference::Stores;
use super::reconcile::{Error, reconcile};
use crate::metrics::Metrics;

/// Pools that are reconciled at a time.
const CONCURRENCY: u16 = 4;
/// Changes within so long are one.
const DEBOUNCE: Duration = Duration::from_millis(100);
/// Below what load balancers allow a connection without a word.
const WATCH_SECONDS: u32 = 200;

/// What all reconciliations share.
pub(super) struct Context {
    pub(super) client: Client,
    pub(super) settings: Settings,
    pub(super) stores: Stores,
    pub(super) backoff: Backoff,
    pub(super) metrics: Metrics,
}

/// Reconciles the pools of a namespace for ever.
pub async fn run(client: Client, namespace: &str, settings: Settings, ready: Gate, metrics: Metrics) {
    let pools: Api<DeserializeGuard<WorkerPool>> = Api::namespaced(client.clone(), namespace);
    let (pool_store, writer) = store();
    let trigger = readable(watcher::watcher(pools, watches()), metrics.clone())
        .default_backoff()
        .reflect(writer)
        .applied_objects();
    let trigger = trigger.predicate_filter(
        predicates::generation.combine(predicates::annotations),
        PredicateConfig::default(),
    );
    let (deployments, deployment_stream) = watched::<Deployment>(&client, namespace, watches());
    let (accounts, account_stream) = watched::<ServiceAccount>(&client, namespace, watches());
    let (budgets, budget_stream) = watched::<PodDisruptionBudget>(&client, namespace, watches());
    let (pods, pod_stream) = watched::<Pod>(&client, namespace, watches().labels(POOL));
    let stores = Stores { deployments, accounts, budgets, pods };
    let context =
        Arc::new(Context { client, settings, stores: stores.clone(), backoff: Backoff::default(), metrics });
    let first = announce(stores, pool_store.clone(), ready);
    let config = controller::Config::default().concurrency(CONCURRENCY).debounce(DEBOUNCE);
    let reconciling = Controller::for_stream(trigger, pool_store)
        .with_config(config)
        .owns_stream(deployment_stream)
        .owns_stream(account_stream)
        .owns_stream(budget_stream)
        .watches_stream(pod_stream, |pod| pool_of(&pod))
        .run(reconcile, |pool, error, context| retry(&pool, error, &context), context)
        .for_each(|ended| async move {
            if let Err(error) = ended {
                tracing::debug!(%error, "not reconciled");
            }
        });
    tokio::join!(first, reconciling);
}

async fn announce(stores: Stores, pools: Store<WorkerPool>, ready: Gate) {
    if pools.wait_until_ready().await.is_ok() && stores.wait_until_ready().await.is_ok() {
        ready.open();
        tracing::info!("all lists have come");
    }
}

fn watches() -> watcher::Config {
    watcher::Config::default().timeout(WATCH_SECONDS)
}

/// A kind's objects as they change, and a store of all of them.
fn watched<K>(
    client: &Client,
    namespace: &str,
    config: watcher::Config,
) -> (Store<K>, impl Stream<Item = Result<K, watcher::Error>> + use<K>)
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + Sync
        + 'static,
{
    let (objects, writer) = store();
    let stream = watcher::watcher(Api::namespaced(client.clone(), namespace), config);
    (objects, stream.default_backoff().reflect(writer).touched_objects())
}

/// Leaves out what cannot be read, so that one malformed pool stops no other.
fn readable(
    events: impl Stream<Item = Result<Event<DeserializeGuard<WorkerPool>>, watcher::Error>> + Send,
    metrics: Metrics,
) -> impl Stream<Item = Result<Event<WorkerPool>, watcher::Error>> + Send {
    events.filter_map(move |event| future::ready(event.map(|event| understood(event, &metrics)).transpose()))
}

fn understood(event: Event<DeserializeGuard<WorkerPool>>, metrics: &Metrics) -> Option<Event<WorkerPool>> {
    match event {
        Event::Init => Some(Event::Init),
        Event::InitDone => Some(Event::InitDone),
        Event::InitApply(guard) => pool_in(guard, metrics).map(Event::InitApply),
        Event::Apply(guard) => pool_in(guard, metrics).map(Event::Apply),
        Event::Delete(guard) => pool_in(guard, metrics).map(Event::Delete),
    }
}

fn pool_in(guard: DeserializeGuard<WorkerPool>, metrics: &Metrics) -> Option<WorkerPool> {
    let told = |invalid: &InvalidObject| {
        let name = invalid.metadata.name.as_deref().unwrap_or_default();
        tracing::error!(pool = name, error = invalid.error, "this pool cannot be read and is left alone");
        metrics.unreadable();
    };
    guard.0.inspect_err(told).ok()
}

fn pool_of(pod: &Pod) -> Option<ObjectRef<WorkerPool>> {
    let name = pod.labels().get(POOL)?;
    Some(ObjectRef::new(name).within(&pod.namespace()?))
}

fn retry(pool: &WorkerPool, error: &Error, context: &Context) -> Action {
    let pause = context.backoff.failed(&pool.name_any());
    tracing::warn!(pool = pool.name_any(), %error, reason = error.reason(), ?pause, "not reconciled");
    Action::requeue(pause)
}
