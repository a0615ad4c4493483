//! What is true of a pool, from its Deployment and its pods: pure. `Ready`, `Reconciling` and `Stalled` mean what
//! kstatus gives them, so that `kubectl wait` and tools that follow it understand a pool.

pub(super) mod cause;

use k8s_openapi::api::apps::v1::{Deployment, DeploymentStatus};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::ResourceExt;
use trackyard_crds::WorkerPool;
use trackyard_crds::worker_pool::WorkerPoolStatus;

pub use cause::{Cause, Severity};

use super::build::POOL;
use crate::condition::Told;

/// What was seen of a pool.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// Its Deployment, if it is there.
    pub deployment: Option<&'a Deployment>,
    /// Its pods, those that end too.
    pub pods: &'a [Pod],
    /// Pods that there are to be.
    pub desired: u32,
    /// False if the router's figures are too old to scale by.
    pub can_scale: bool,
    /// Why its pods are not of the newest form yet, if they are to stay as they are.
    pub waits: Option<&'a Cause>,
}

/// The pool's status now. What has not changed keeps its time, so that an unchanged pool has an unchanged status.
#[must_use]
pub fn status(pool: &WorkerPool, seen: &Seen<'_>, now: &Time) -> WorkerPoolStatus {
    let before = pool.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let found = seen.deployment.and_then(|deployment| deployment.status.clone()).unwrap_or_default();
    let count = |count: Option<i32>| Some(count.unwrap_or(0));
    let draining = seen.pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_some()).count();
    WorkerPoolStatus {
        replicas: count(found.replicas),
        ready_replicas: count(found.ready_replicas),
        updated_replicas: count(found.updated_replicas),
        draining_replicas: i32::try_from(draining).ok(),
        selector: Some(format!("{POOL}={}", pool.name_any())),
        observed_generation: pool.metadata.generation,
        conditions: conditions(pool, seen, &found, before, now),
    }
}

/// The status of a pool that cannot be what it asks for. What was counted stays.
#[must_use]
pub fn refused(pool: &WorkerPool, reason: &'static str, message: &str, now: &Time) -> WorkerPoolStatus {
    let told = |is_true| Told::of(is_true, reason, message);
    only(pool, [("Ready", told(false)), ("Reconciling", Told::no("Stalled")), ("Stalled", told(true))], now)
}

/// The status of a pool that its user has taken from the operator.
#[must_use]
pub fn hands_off(pool: &WorkerPool, now: &Time) -> WorkerPoolStatus {
    let told =
        Told::of(false, "Disabled", "trackyard.dev/reconcile is disabled: nothing of this pool is touched");
    only(
        pool,
        [("Ready", told), ("Reconciling", Told::no("Disabled")), ("Stalled", Told::no("Disabled"))],
        now,
    )
}

fn only<const N: usize>(pool: &WorkerPool, told: [(&str, Told); N], now: &Time) -> WorkerPoolStatus {
    let before = pool.status.clone().unwrap_or_default();
    let generation = pool.metadata.generation;
    let conditions =
        told.into_iter().map(|(kind, told)| told.condition(kind, generation, &before.conditions, now));
    let conditions = conditions.collect();
    WorkerPoolStatus { observed_generation: generation, conditions, ..before }
}

fn conditions(
    pool: &WorkerPool,
    seen: &Seen<'_>,
    found: &DeploymentStatus,
    before: &[Condition],
    now: &Time,
) -> Vec<Condition> {
    let cause = cause::of(seen.deployment, seen.pods).or_else(|| seen.waits.cloned());
    let (ready, reconciling, stalled) = if seen.waits.is_none() && is_current(seen, found) {
        (Told::yes(arrived(pool, seen)), Told::no("Settled"), Told::no("Settled"))
    } else {
        match cause {
            Some(cause) if cause.severity == Severity::Stuck => {
                (because(false, &cause), Told::no("Stalled"), because(true, &cause))
            }
            Some(cause) => (because(false, &cause), because(true, &cause), Told::no("Waiting")),
            None => (Told::no("Progressing"), Told::yes("Progressing"), Told::no("Progressing")),
        }
    };
    let scaling = match &pool.spec.autoscale {
        None => Told::no("Fixed"),
        Some(_) if seen.can_scale => Told::yes("Active"),
        Some(_) => {
            Told::no("NoFigures").saying("the router's figures are too old: the number of pods is kept")
        }
    };
    let suspended = if pool.spec.suspend { Told::yes("Asked") } else { Told::no("NotAsked") };
    let all = [
        ("Ready", ready),
        ("Reconciling", reconciling),
        ("Stalled", stalled),
        ("Autoscaling", scaling),
        ("Suspended", suspended),
    ];
    all.into_iter().map(|(kind, told)| told.condition(kind, pool.metadata.generation, before, now)).collect()
}

fn because(is_true: bool, cause: &Cause) -> Told {
    Told::of(is_true, cause.reason, &cause.message)
}

/// All pods that there are to be are there, ready, and of the newest form; and no other is.
fn is_current(seen: &Seen<'_>, found: &DeploymentStatus) -> bool {
    let Some(deployment) = seen.deployment else { return false };
    let desired = i32::try_from(seen.desired).unwrap_or(i32::MAX);
    let asked = deployment.spec.as_ref().and_then(|spec| spec.replicas);
    let counts = [found.replicas, found.updated_replicas, found.ready_replicas];
    found.observed_generation == deployment.metadata.generation
        && asked == Some(desired)
        && counts.iter().all(|count| count.unwrap_or(0) == desired)
}

fn arrived(pool: &WorkerPool, seen: &Seen<'_>) -> &'static str {
    match seen.desired {
        0 if pool.spec.suspend => "Suspended",
        0 => "ScaledToZero",
        _ => "AllReady",
    }
}

#[cfg(test)]
mod tests;
