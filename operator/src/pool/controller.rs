//! Watches pools, their children and their pods, and reconciles a pool whenever something of it has changed.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::ResourceExt;
use kube::runtime::controller::{self, Action, Controller};
use kube::runtime::reflector::{ObjectRef, Store};
use trackyard_crds::WorkerPool;
use trackyard_daemon::readiness::Gate;

use super::build::{POOL, Settings};
use super::dereference::Stores;
use super::reconcile::{Error, reconcile};
use super::rollout::Rollout;
use super::scale::Scaler;
use crate::backoff::Backoff;
use crate::figures::Figures;
use crate::metrics::Metrics;
use crate::shared::Shared;
use crate::watches::{self, asked, own, watched};
use crate::writer::Writer;

/// Pools that are reconciled at a time.
const CONCURRENCY: u16 = 4;
/// Changes within so long are one.
const DEBOUNCE: Duration = Duration::from_millis(100);

/// What all reconciliations share.
pub(super) struct Context {
    pub(super) writer: Writer,
    pub(super) settings: Settings,
    pub(super) stores: Stores,
    pub(super) pools: Store<WorkerPool>,
    pub(super) figures: Figures,
    pub(super) scaler: Scaler,
    pub(super) rollout: Rollout,
    pub(super) backoff: Backoff,
    pub(super) metrics: Metrics,
}

/// Reconciles the pools of a namespace for ever.
pub async fn run(shared: Shared, settings: Settings, ready: Gate) {
    let config = || watches::config(&shared);
    let (pool_store, trigger) = own::<WorkerPool, _>(&shared, asked());
    let (deployments, deployment_stream) = watched::<Deployment>(&shared, config());
    let (accounts, account_stream) = watched::<ServiceAccount>(&shared, config());
    let (budgets, budget_stream) = watched::<PodDisruptionBudget>(&shared, config());
    let (pods, pod_stream) = watched::<Pod>(&shared, config().labels(POOL));
    let Shared { writer, figures, metrics, .. } = shared;
    metrics.of_deployments(&deployments);
    let stores = Stores::new(deployments, accounts, budgets, pods);
    let changes = figures.changes();
    let context = Arc::new(Context {
        writer,
        settings,
        stores: stores.clone(),
        pools: pool_store.clone(),
        figures,
        scaler: Scaler::default(),
        rollout: Rollout::default(),
        backoff: Backoff::default(),
        metrics,
    });
    let first = announce(stores, pool_store.clone(), ready);
    let config = controller::Config::default().concurrency(CONCURRENCY).debounce(DEBOUNCE);
    let reconciling = Controller::for_stream(trigger, pool_store)
        .with_config(config)
        .owns_stream(deployment_stream)
        .owns_stream(account_stream)
        .owns_stream(budget_stream)
        .watches_stream(pod_stream, |pod| pool_of(&pod))
        .reconcile_all_on(changes)
        .run(reconcile, |pool, error, context| retry(&pool, error, &context), context)
        .for_each(|ended| async move {
            if let Err(error) = ended {
                tracing::debug!(%error, "not reconciled");
            }
        });
    tokio::join!(first, reconciling);
}

async fn announce(stores: Stores, pools: Store<WorkerPool>, ready: Gate) {
    if pools.wait_until_ready().await.is_ok() && stores.fill().await.is_ok() {
        ready.open();
        tracing::info!("all lists have come");
    }
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
