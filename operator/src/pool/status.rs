//! Derives a pool's status from its Deployment and its pods: pure. `Ready`, `Reconciling` and `Stalled` follow kstatus, so that
//! `kubectl wait` and tools that know kstatus understand a pool.

pub(super) mod cause;

use k8s_openapi::api::apps::v1::{Deployment, DeploymentStatus};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::ResourceExt;
use trackyard_crds::WorkerPool;
use trackyard_crds::worker_pool::WorkerPoolStatus;

pub use cause::{Cause, Severity};

use super::labels::POOL_LABEL;
use trackyard_crds::condition::ConditionUpdate;

/// What decides the status of a pool.
#[derive(Debug, Clone, Copy)]
pub struct PoolFacts<'a> {
    /// The existing Deployment.
    pub deployment: Option<&'a Deployment>,
    /// The pool's pods, including those that are being deleted.
    pub pods: &'a [Pod],
    /// The desired number of pods.
    pub desired: u32,
    /// False if the pool is autoscaled and there is no load report.
    pub can_scale: bool,
    /// Why the pool must keep its outdated pods, if it must.
    pub held_back: Option<&'a Cause>,
}

/// Returns the pool's status at `now`. Conditions whose status has not changed keep their transition times, so that an unchanged
/// pool has an unchanged status.
#[must_use]
pub fn status(pool: &WorkerPool, facts: &PoolFacts<'_>, now: &Time) -> WorkerPoolStatus {
    let before = pool.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let counts = facts.deployment.and_then(|deployment| deployment.status.clone()).unwrap_or_default();
    let draining = facts.pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_some()).count();
    WorkerPoolStatus {
        replicas: Some(counts.replicas.unwrap_or(0)),
        ready_replicas: Some(counts.ready_replicas.unwrap_or(0)),
        updated_replicas: Some(counts.updated_replicas.unwrap_or(0)),
        draining_replicas: i32::try_from(draining).ok(),
        selector: Some(format!("{POOL_LABEL}={}", pool.name_any())),
        observed_generation: pool.metadata.generation,
        conditions: conditions(pool, facts, &counts, before, now),
    }
}

/// Returns the status of a pool that cannot have its children. The counts stay as they are.
#[must_use]
pub fn rejected(pool: &WorkerPool, reason: &'static str, message: &str, now: &Time) -> WorkerPoolStatus {
    let updates = [
        ("Ready", ConditionUpdate::new(false, reason).with_message(message)),
        ("Reconciling", ConditionUpdate::new(false, "Stalled")),
        ("Stalled", ConditionUpdate::new(true, reason).with_message(message)),
    ];
    with_conditions(pool, updates, now)
}

/// Returns the status of a pool whose reconciliation is paused.
#[must_use]
pub fn paused(pool: &WorkerPool, now: &Time) -> WorkerPoolStatus {
    let update = || ConditionUpdate::new(false, "ReconcileDisabled");
    let message = "the annotation trackyard.dev/reconcile is disabled: the operator leaves this pool as it is; remove \
                   the annotation to go on";
    let updates =
        [("Ready", update().with_message(message)), ("Reconciling", update()), ("Stalled", update())];
    with_conditions(pool, updates, now)
}

fn with_conditions<const N: usize>(
    pool: &WorkerPool,
    updates: [(&str, ConditionUpdate); N],
    now: &Time,
) -> WorkerPoolStatus {
    let before = pool.status.clone().unwrap_or_default();
    let generation = pool.metadata.generation;
    let conditions = updates
        .into_iter()
        .map(|(kind, update)| update.into_condition(kind, generation, &before.conditions, now))
        .collect();
    WorkerPoolStatus { observed_generation: generation, conditions, ..before }
}

fn conditions(
    pool: &WorkerPool,
    facts: &PoolFacts<'_>,
    counts: &DeploymentStatus,
    before: &[Condition],
    now: &Time,
) -> Vec<Condition> {
    let [ready, reconciling, stalled] = readiness(pool, facts, counts);
    let suspended = if pool.spec.suspend { "Suspended" } else { "NotSuspended" };
    let updates = [
        ("Ready", ready),
        ("Reconciling", reconciling),
        ("Stalled", stalled),
        ("Autoscaling", autoscaling(pool, facts)),
        ("Suspended", ConditionUpdate::new(pool.spec.suspend, suspended)),
    ];
    updates
        .into_iter()
        .map(|(kind, update)| update.into_condition(kind, pool.metadata.generation, before, now))
        .collect()
}

/// Returns `Ready`, `Reconciling` and `Stalled`.
fn readiness(pool: &WorkerPool, facts: &PoolFacts<'_>, counts: &DeploymentStatus) -> [ConditionUpdate; 3] {
    if facts.held_back.is_none() && is_up_to_date(facts, counts) {
        return [
            ConditionUpdate::new(true, ready_reason(pool, facts)),
            ConditionUpdate::new(false, "UpToDate"),
            ConditionUpdate::new(false, "UpToDate"),
        ];
    }
    match cause::find(facts.deployment, facts.pods).or_else(|| facts.held_back.cloned()) {
        Some(cause) if cause.severity == Severity::Stuck => {
            [because(false, &cause), ConditionUpdate::new(false, "Stalled"), because(true, &cause)]
        }
        Some(cause) => {
            [because(false, &cause), because(true, &cause), ConditionUpdate::new(false, "Waiting")]
        }
        None => [false, true, false].map(|is_true| ConditionUpdate::new(is_true, "Progressing")),
    }
}

fn because(is_true: bool, cause: &Cause) -> ConditionUpdate {
    ConditionUpdate::new(is_true, cause.reason).with_message(&cause.message)
}

fn autoscaling(pool: &WorkerPool, facts: &PoolFacts<'_>) -> ConditionUpdate {
    match &pool.spec.autoscale {
        None => ConditionUpdate::new(false, "FixedReplicas"),
        Some(_) if facts.can_scale => ConditionUpdate::new(true, "Active"),
        Some(_) => ConditionUpdate::new(false, "RouterUnreachable").with_message(
            "cannot scale: the operator has no recent load report from the router; the number of pods stays as it is",
        ),
    }
}

/// Returns whether exactly the desired pods exist, all of them updated and ready.
fn is_up_to_date(facts: &PoolFacts<'_>, counts: &DeploymentStatus) -> bool {
    let Some(deployment) = facts.deployment else { return false };
    let desired = i32::try_from(facts.desired).unwrap_or(i32::MAX);
    let requested = deployment.spec.as_ref().and_then(|spec| spec.replicas);
    counts.observed_generation == deployment.metadata.generation
        && requested == Some(desired)
        && [counts.replicas, counts.updated_replicas, counts.ready_replicas]
            .iter()
            .all(|count| count.unwrap_or(0) == desired)
}

fn ready_reason(pool: &WorkerPool, facts: &PoolFacts<'_>) -> &'static str {
    match facts.desired {
        0 if pool.spec.suspend => "Suspended",
        0 => "ScaledToZero",
        _ => "AllReady",
    }
}

#[cfg(test)]
mod tests;
