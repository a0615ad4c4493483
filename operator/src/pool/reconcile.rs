//! Reconciles one pool. `attempt` is the list of steps; each step has its own module.

use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::runtime::controller::Action;
use kube::{Resource, ResourceExt};
use trackyard_crds::WorkerPool;
use trackyard_protocol::load_report::LoadReport;

use super::build::{self, ChildrenError};
use super::context::Context;
use super::dereference::{ExistingChildren, dereference};
use super::rollout::keep_template;
use super::status::{self, Cause, PoolFacts};
use super::validate::{ReplicaPlan, ValidateError, validate};
use super::{apply, shrink};
use crate::events::{self, ObjectEvent};
use crate::paused::is_paused;
use crate::writer::WriteError;

/// Interval between reconciliations of an unchanged pool.
const RESYNC_INTERVAL: Duration = Duration::from_secs(600);
/// Interval between reconciliations of a pool whose rollout is held back: no watch reports that the others are done.
const HELD_BACK_INTERVAL: Duration = Duration::from_secs(3);

/// Why a pool was not reconciled, with a variant for each step that may fail.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReconcileError {
    /// The pool must not have its children.
    #[error(transparent)]
    Validate(#[from] ValidateError),
    /// The pool's children cannot be built from its spec.
    #[error(transparent)]
    Build(#[from] ChildrenError),
    /// A write failed.
    #[error(transparent)]
    Apply(#[from] WriteError),
}

impl ReconcileError {
    /// Returns whether a retry is useless until the pool or the cluster changes.
    fn is_final(&self) -> bool {
        match self {
            Self::Validate(_) | Self::Build(_) => true,
            Self::Apply(error) => error.is_final(),
        }
    }

    /// Returns the reason for metrics, logs and conditions.
    #[must_use]
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Validate(error) => error.into(),
            Self::Build(error) => error.into(),
            Self::Apply(error) => error.reason(),
        }
    }
}

pub(super) async fn reconcile(
    pool: Arc<WorkerPool>,
    context: Arc<Context>,
) -> Result<Action, ReconcileError> {
    let start = Instant::now();
    let result = attempt(&pool, &context).await;
    let failure = result.as_ref().err().map(ReconcileError::reason);
    context.metrics.on_reconciled(WorkerPool::kind(&()), start.elapsed(), failure);
    result
}

/// What the steps have made of a pool.
struct Reconciled {
    plan: ReplicaPlan,
    /// Why the pods are left as they are, if they are.
    held_back: Option<Cause>,
}

async fn attempt(pool: &WorkerPool, context: &Context) -> Result<Action, ReconcileError> {
    // Kubernetes deletes the children of a deleted pool, which is their owner.
    if pool.metadata.deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    if is_paused(pool) {
        apply::apply_status(&context.writer, pool, &status::paused(pool, &now())).await?;
        return Ok(Action::await_change());
    }
    let existing = dereference(pool, &context.stores).await;
    let result = async {
        let report = context.load_reports.current();
        let scaled = scale(pool, &existing, report.as_ref(), context);
        let plan = validate(pool, &existing, scaled)?;
        let mut children = build::children(pool, plan.desired, &context.settings)?;
        let held_back = roll_out(pool, &existing, &mut children, context);
        shrink(&existing, plan, report.as_ref(), context).await?;
        apply(pool, &existing, &children, context).await?;
        if scaled.is_some() {
            publish_scaling(pool, &existing, plan, context).await;
        }
        Ok(Reconciled { plan, held_back })
    }
    .await;
    update_status(pool, &existing, &result, context).await?;
    let Reconciled { held_back, .. } = result?;
    context.backoff.on_success(&pool.name_any());
    Ok(Action::requeue(if held_back.is_some() { HELD_BACK_INTERVAL } else { RESYNC_INTERVAL }))
}

fn now() -> Time {
    Time(Timestamp::now())
}

fn scale(
    pool: &WorkerPool,
    existing: &ExistingChildren,
    report: Option<&LoadReport>,
    context: &Context,
) -> Option<u32> {
    context.scaler.desired(pool, existing.replicas(), &context.pools.state(), report)
}

/// Lets the pool take a new default image, or keeps its pods as they are. Returns why it must wait, if it must.
fn roll_out(
    pool: &WorkerPool,
    existing: &ExistingChildren,
    children: &mut build::Children,
    context: &Context,
) -> Option<Cause> {
    let image = &context.settings.image;
    let held_back = context.rollout.decide(pool, &context.pools, &context.stores, image).cause(image);
    if held_back.is_some() {
        keep_template(&mut children.deployment, existing.deployment.as_deref());
    }
    held_back
}

/// Marks the least busy pods to be deleted first, if the pool keeps some pods but not all.
async fn shrink(
    existing: &ExistingChildren,
    plan: ReplicaPlan,
    report: Option<&LoadReport>,
    context: &Context,
) -> Result<(), WriteError> {
    let current = existing.replicas();
    let Some(report) = report.filter(|_| plan.desired < current && plan.desired > 0) else { return Ok(()) };
    shrink::mark_for_deletion(&context.writer, &existing.pods, current - plan.desired, report).await
}

async fn apply(
    pool: &WorkerPool,
    existing: &ExistingChildren,
    children: &build::Children,
    context: &Context,
) -> Result<(), WriteError> {
    let applied = apply::apply_children(&context.writer, children, existing).await;
    if let Some(error) = applied.as_ref().err().filter(|error| error.is_final()) {
        context.rollout.on_rejected(&pool.name_any(), error.reason());
    }
    applied
}

async fn publish_scaling(
    pool: &WorkerPool,
    existing: &ExistingChildren,
    plan: ReplicaPlan,
    context: &Context,
) {
    let current = existing.replicas();
    if plan.desired != current {
        context.writer.publish(pool, &[ObjectEvent::scaled(current, plan.desired)]).await;
    }
}

/// Writes the status and publishes the events of its changes. An error that a retry may resolve leaves the status as it is.
async fn update_status(
    pool: &WorkerPool,
    existing: &ExistingChildren,
    result: &Result<Reconciled, ReconcileError>,
    context: &Context,
) -> Result<(), WriteError> {
    let status = match result {
        Ok(reconciled) => status::status(pool, &facts(existing, reconciled), &now()),
        Err(error) if error.is_final() => status::rejected(pool, error.reason(), &error.to_string(), &now()),
        Err(_) => return Ok(()),
    };
    apply::apply_status(&context.writer, pool, &status).await?;
    let before = pool.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    context.writer.publish(pool, &events::changed(before, &status.conditions)).await;
    Ok(())
}

fn facts<'a>(existing: &'a ExistingChildren, reconciled: &'a Reconciled) -> PoolFacts<'a> {
    PoolFacts {
        deployment: existing.deployment.as_deref(),
        pods: &existing.pods,
        desired: reconciled.plan.desired,
        can_scale: reconciled.plan.can_scale,
        held_back: reconciled.held_back.as_ref(),
    }
}
