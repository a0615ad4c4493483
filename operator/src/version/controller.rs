//! Reconciles every ContainerVersion when it changes, and when a build or the router's load report changes.

use std::sync::Arc;
use std::time::Instant;

use futures_util::StreamExt;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::runtime::controller::{self, Action, Controller};
use kube::runtime::predicates;
use kube::runtime::reflector::Store;
use kube::{Resource, ResourceExt};
use trackyard_crds::ContainerVersion;
use trackyard_daemon::readiness::Gate;

use super::{build, status};
use crate::backoff::Backoff;
use crate::builds::Builds;
use crate::events;
use crate::load_report::LoadReports;
use crate::metrics::Metrics;
use crate::paused::is_paused;
use crate::watches::Watches;
use crate::writer::{WriteError, Writer};

/// Maximum number of versions that are reconciled at a time.
const MAX_CONCURRENCY: u16 = 4;

struct Context {
    writer: Writer,
    load_reports: LoadReports,
    builds: Builds,
    backoff: Backoff,
    metrics: Metrics,
}

/// Reconciles the versions of the watched namespace until the future is dropped. Opens `ready` after the first list.
pub async fn run(
    watches: &Watches,
    writer: Writer,
    load_reports: LoadReports,
    builds: Builds,
    metrics: Metrics,
    ready: Gate,
) {
    let (versions, version_changes) = watches.own::<ContainerVersion, _>(predicates::resource_version);
    let first_list = open_when_listed(versions.clone(), ready);
    let report_changes = load_reports.changes();
    let build_changes = builds.changes();
    let context = Arc::new(Context { writer, load_reports, builds, backoff: Backoff::default(), metrics });
    let reconciliations = Controller::for_stream(version_changes, versions)
        .with_config(controller::Config::default().concurrency(MAX_CONCURRENCY))
        .reconcile_all_on(report_changes)
        .reconcile_all_on(build_changes)
        .run(reconcile, |version, error, context| on_error(&version, error, &context), context)
        .for_each(|_| async {});
    tokio::join!(first_list, reconciliations);
}

async fn open_when_listed(versions: Store<ContainerVersion>, ready: Gate) {
    if versions.wait_until_ready().await.is_ok() {
        ready.open();
    }
}

async fn reconcile(version: Arc<ContainerVersion>, context: Arc<Context>) -> Result<Action, WriteError> {
    let start = Instant::now();
    let result = attempt(&version, &context).await;
    let failure = result.as_ref().err().map(WriteError::reason);
    context.metrics.on_reconciled(ContainerVersion::kind(&()), start.elapsed(), failure);
    result.map(|()| Action::await_change())
}

async fn attempt(version: &ContainerVersion, context: &Context) -> Result<(), WriteError> {
    if version.metadata.deletion_timestamp.is_some() || is_paused(version) {
        return Ok(());
    }
    let load = context.load_reports.current();
    let build = request_build(version, &context.builds);
    let now = Time(Timestamp::now());
    if let Some(status) = status::status(version, build, load.as_ref(), &now) {
        context.writer.apply_status(version, &status).await?;
        let before = version.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        context.writer.publish(version, &events::changed(before, &status.conditions)).await;
    }
    context.backoff.on_success(&version.name_any());
    Ok(())
}

/// Requests the build that a version needs, and returns its report. The operator stops polling a build that is no longer requested.
fn request_build(version: &ContainerVersion, builds: &Builds) -> Option<build::BuildReport> {
    if let Some(spec) = build::needed_build(version) {
        builds.request(spec);
    }
    let stage = builds.stage(&version.uid().unwrap_or_default(), &build::attempt(version));
    build::report(version, stage.as_ref(), builds.has_router())
}

fn on_error(version: &ContainerVersion, error: &WriteError, context: &Context) -> Action {
    let delay = context.backoff.on_failure(&version.name_any());
    let name = version.name_any();
    let reason = error.reason();
    tracing::warn!(version = name, %error, reason, ?delay, "cannot reconcile the version; retrying");
    Action::requeue(delay)
}
