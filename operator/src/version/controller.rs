//! Looks at every ContainerVersion when it changes, or the router's figures.

use std::sync::Arc;
use std::time::Instant;

use futures_util::StreamExt;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::runtime::controller::{self, Action, Controller};
use kube::runtime::predicates;
use kube::{Resource, ResourceExt};
use trackyard_crds::ContainerVersion;
use trackyard_daemon::readiness::Gate;

use super::{built, status};
use crate::backoff::Backoff;
use crate::builds::Builds;
use crate::events::turned;
use crate::figures::Figures;
use crate::hands_off::is_hands_off;
use crate::metrics::Metrics;
use crate::shared::Shared;
use crate::watches::own;
use crate::writer::{Error, Writer};

/// Versions that are looked at at a time.
const CONCURRENCY: u16 = 4;

struct Context {
    writer: Writer,
    figures: Figures,
    builds: Builds,
    backoff: Backoff,
    metrics: Metrics,
}

/// Reconciles the versions of a namespace for ever.
pub async fn run(shared: Shared, builds: Builds, ready: Gate) {
    let (store, trigger) = own::<ContainerVersion, _>(&shared, predicates::resource_version);
    let Shared { writer, figures, metrics, .. } = shared;
    let first = {
        let store = store.clone();
        async move {
            if store.wait_until_ready().await.is_ok() {
                ready.open();
            }
        }
    };
    let (figures_change, builds_change) = (figures.changes(), builds.changes());
    let context = Arc::new(Context { writer, figures, builds, backoff: Backoff::default(), metrics });
    let reconciling = Controller::for_stream(trigger, store)
        .with_config(controller::Config::default().concurrency(CONCURRENCY))
        .reconcile_all_on(figures_change)
        .reconcile_all_on(builds_change)
        .run(reconcile, |version, error, context| retry(&version, error, &context), context)
        .for_each(|_| async {});
    tokio::join!(first, reconciling);
}

async fn reconcile(version: Arc<ContainerVersion>, context: Arc<Context>) -> Result<Action, Error> {
    let begun = Instant::now();
    let done = attempt(&version, &context).await;
    context.metrics.reconciled(
        ContainerVersion::kind(&()),
        begun.elapsed(),
        done.as_ref().err().map(Error::reason),
    );
    done.map(|()| Action::await_change())
}

async fn attempt(version: &ContainerVersion, context: &Context) -> Result<(), Error> {
    if version.metadata.deletion_timestamp.is_some() || is_hands_off(version) {
        return Ok(());
    }
    let report = context.figures.now();
    let now = Time(Timestamp::now());
    let built = look_after(version, &context.builds);
    if let Some(status) = status::status(version, built, report.as_ref(), &now) {
        context.writer.status(version, &status).await?;
        let before = version.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        context.writer.tell(version, &turned(before, &status.conditions)).await;
    }
    context.backoff.succeeded(&version.name_any());
    Ok(())
}

/// Orders the build that a version wants, as long as it wants it, and says how far it is.
fn look_after(version: &ContainerVersion, builds: &Builds) -> Option<built::Built> {
    if let Some(order) = built::order(version) {
        builds.order(order);
    }
    let progress = builds.progress(&version.uid().unwrap_or_default(), &built::attempt(version));
    built::built(version, progress.as_ref(), builds.can_be_ordered())
}

fn retry(version: &ContainerVersion, error: &Error, context: &Context) -> Action {
    let pause = context.backoff.failed(&version.name_any());
    tracing::warn!(version = version.name_any(), %error, reason = error.reason(), ?pause, "not reconciled");
    Action::requeue(pause)
}
