//! Watches pools, their children and their pods, and reconciles a pool whenever one of them changes.

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

use super::build::AgentSettings;
use super::context::Context;
use super::dereference::Stores;
use super::labels::POOL_LABEL;
use super::reconcile::{ReconcileError, reconcile};
use super::rollout::Rollout;
use super::scale::Scaler;
use crate::backoff::Backoff;
use crate::load_report::LoadReports;
use crate::metrics::Metrics;
use crate::watches::{Watches, spec_or_annotations};
use crate::writer::Writer;

/// Maximum number of pools that are reconciled at a time.
const MAX_CONCURRENCY: u16 = 4;
/// Changes within this time cause a single reconciliation.
const DEBOUNCE: Duration = Duration::from_millis(100);

/// Reconciles the pools of the watched namespace until the future is dropped. Opens `ready` after the first lists.
pub async fn run(
    watches: &Watches,
    settings: AgentSettings,
    writer: Writer,
    load_reports: LoadReports,
    metrics: Metrics,
    ready: Gate,
) {
    let (pools, pool_changes) = watches.own::<WorkerPool, _>(spec_or_annotations());
    let (deployments, deployment_changes) = watches.children::<Deployment>(watches.config());
    let (accounts, account_changes) = watches.children::<ServiceAccount>(watches.config());
    let (budgets, budget_changes) = watches.children::<PodDisruptionBudget>(watches.config());
    let (pods, pod_changes) = watches.children::<Pod>(watches.config().labels(POOL_LABEL));
    metrics.set_deployments(&deployments);
    let report_changes = load_reports.changes();
    let stores = Stores::new(deployments, accounts, budgets, pods);
    let first_lists = open_when_listed(stores.clone(), pools.clone(), ready);
    let context = Arc::new(Context {
        writer,
        settings,
        stores,
        pools: pools.clone(),
        load_reports,
        scaler: Scaler::default(),
        rollout: Rollout::default(),
        backoff: Backoff::default(),
        metrics,
    });
    let config = controller::Config::default().concurrency(MAX_CONCURRENCY).debounce(DEBOUNCE);
    let reconciliations = Controller::for_stream(pool_changes, pools)
        .with_config(config)
        .owns_stream(deployment_changes)
        .owns_stream(account_changes)
        .owns_stream(budget_changes)
        .watches_stream(pod_changes, |pod| pool_of(&pod))
        .reconcile_all_on(report_changes)
        .run(reconcile, |pool, error, context| on_error(&pool, error, &context), context)
        .for_each(|result| async move {
            if let Err(error) = result {
                tracing::debug!(%error, "cannot reconcile a pool");
            }
        });
    tokio::join!(first_lists, reconciliations);
}

async fn open_when_listed(stores: Stores, pools: Store<WorkerPool>, ready: Gate) {
    if pools.wait_until_ready().await.is_ok() && stores.wait_until_ready().await.is_ok() {
        ready.open();
        tracing::info!("the first lists of pools and their children are complete");
    }
}

fn pool_of(pod: &Pod) -> Option<ObjectRef<WorkerPool>> {
    let name = pod.labels().get(POOL_LABEL)?;
    Some(ObjectRef::new(name).within(&pod.namespace()?))
}

fn on_error(pool: &WorkerPool, error: &ReconcileError, context: &Context) -> Action {
    let delay = context.backoff.on_failure(&pool.name_any());
    let reason = error.reason();
    tracing::warn!(pool = pool.name_any(), %error, reason, ?delay, "cannot reconcile the pool; retrying");
    Action::requeue(delay)
}
