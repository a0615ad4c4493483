//! One pool, from what there is of it to what there is to be: dereference, validate, build, apply, status.

use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::runtime::controller::Action;
use kube::{Resource, ResourceExt};
use trackyard_crds::WorkerPool;

use super::controller::Context;
use super::dereference::{Found, dereference};
use super::rollout::keep_pods;
use super::status::{self, Cause, Seen};
use super::validate::{Plan, validate};
use super::{apply, build, shrink, validate as validation};
use crate::events::{Happened, turned};
use crate::hands_off::is_hands_off;
use crate::writer;

/// Without any change a pool is looked at so often.
const AGAIN: Duration = Duration::from_secs(600);
/// One that waits for others, of which it hears nothing.
const SOON: Duration = Duration::from_secs(3);

/// Why a pool was not reconciled; a variant for each step that fails.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// It may not be.
    #[error(transparent)]
    Validate(#[from] validation::Error),
    /// It cannot be.
    #[error(transparent)]
    Build(#[from] build::Error),
    /// The API server did not take it.
    #[error(transparent)]
    Apply(#[from] writer::Error),
}

impl Error {
    /// True if the pool must change, or the cluster around it; false if trying again may be enough.
    fn is_final(&self) -> bool {
        match self {
            Self::Validate(_) | Self::Build(_) => true,
            Self::Apply(error) => error.is_final(),
        }
    }

    /// The word for metrics, logs and conditions.
    #[must_use]
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Validate(error) => error.into(),
            Self::Build(error) => error.into(),
            Self::Apply(error) => error.reason(),
        }
    }
}

pub(super) async fn reconcile(pool: Arc<WorkerPool>, context: Arc<Context>) -> Result<Action, Error> {
    let begun = Instant::now();
    let done = attempt(&pool, &context).await;
    context.metrics.reconciled(
        WorkerPool::kind(&()),
        begun.elapsed(),
        done.as_ref().err().map(Error::reason),
    );
    done
}

async fn attempt(pool: &WorkerPool, context: &Context) -> Result<Action, Error> {
    // Deleting a pool deletes its children, and that is all: they name it as their owner.
    if pool.metadata.deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    let now = Time(Timestamp::now());
    if is_hands_off(pool) {
        apply::status(&context.writer, pool, &status::hands_off(pool, &now)).await?;
        return Ok(Action::await_change());
    }
    let found = dereference(pool, &context.stores).await;
    let done = shape(pool, &found, context).await;
    let status = match &done {
        Ok((plan, waits)) => Some(status::status(pool, &seen(&found, *plan, waits.as_ref()), &now)),
        Err(error) => {
            error.is_final().then(|| status::refused(pool, error.reason(), &error.to_string(), &now))
        }
    };
    if let Some(status) = status {
        apply::status(&context.writer, pool, &status).await?;
        let before = pool.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        context.writer.tell(pool, &turned(before, &status.conditions)).await;
    }
    let (_, waits) = done?;
    context.backoff.succeeded(&pool.name_any());
    Ok(Action::requeue(if waits.is_some() { SOON } else { AGAIN }))
}

/// Makes it what it is to be; with why its pods are left as they are, if they are.
async fn shape(pool: &WorkerPool, found: &Found, context: &Context) -> Result<(Plan, Option<Cause>), Error> {
    let report = context.figures.now();
    let current = found.current();
    let scaled = context.scaler.desired(pool, current, &context.pools.state(), report.as_ref());
    let plan = validate(pool, found, scaled)?;
    let mut children = build::children(pool, plan.desired, &context.settings)?;
    let image = &context.settings.image;
    let waits = context.rollout.turn(pool, &context.pools, &context.stores, image).cause(image);
    if waits.is_some() {
        keep_pods(&mut children.deployment, found.deployment.as_deref());
    }
    if let Some(report) = report.filter(|_| plan.desired < current && plan.desired > 0) {
        shrink::mark(&context.writer, &found.pods, current - plan.desired, &report).await?;
    }
    let applied = apply::children(&context.writer, &children, found).await;
    if let Some(error) = applied.as_ref().err().filter(|error| error.is_final()) {
        context.rollout.refused(&pool.name_any(), error.reason());
    }
    applied?;
    if scaled.is_some() && plan.desired != current {
        context.writer.tell(pool, &[Happened::scaled(current, plan.desired)]).await;
    }
    Ok((plan, waits))
}

fn seen<'a>(found: &'a Found, plan: Plan, waits: Option<&'a Cause>) -> Seen<'a> {
    Seen {
        deployment: found.deployment.as_deref(),
        pods: &found.pods,
        desired: plan.desired,
        can_scale: plan.can_scale,
        waits,
    }
}
