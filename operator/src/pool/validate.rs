//! Checks whether the pool may have children, and computes its number of pods: pure.

use kube::{Resource, ResourceExt};
use trackyard_crds::WorkerPool;

use super::dereference::ExistingChildren;
use super::labels::children_name;
use super::scale::non_negative;

/// Why a pool must not have children.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
pub enum ValidateError {
    /// An object with the name of a child exists, and the pool does not own it.
    #[error(
        "cannot create the {kind} {name}: one that this pool does not own exists; delete it, or rename the pool"
    )]
    NameConflict {
        /// The kind.
        kind: &'static str,
        /// The name.
        name: String,
    },
}

/// The desired number of pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ReplicaPlan {
    pub(super) desired: u32,
    /// False if the pool is autoscaled and there is no load report.
    pub(super) can_scale: bool,
}

/// Validates a pool. `scaled` is the number of pods by the router's load report, if the pool is autoscaled and there is one.
pub(super) fn validate(
    pool: &WorkerPool,
    existing: &ExistingChildren,
    scaled: Option<u32>,
) -> Result<ReplicaPlan, ValidateError> {
    check_owner(pool, "Deployment", existing.deployment.as_deref())?;
    check_owner(pool, "ServiceAccount", existing.account.as_deref())?;
    check_owner(pool, "PodDisruptionBudget", existing.budget.as_deref())?;
    Ok(plan_replicas(pool, existing.replicas(), scaled))
}

/// Rejects a child that another object owns, even an earlier pool of the same name: it is never taken over.
fn check_owner<K: Resource>(
    pool: &WorkerPool,
    kind: &'static str,
    child: Option<&K>,
) -> Result<(), ValidateError> {
    match child {
        Some(child) if !is_owned(pool, child) => {
            Err(ValidateError::NameConflict { kind, name: children_name(pool) })
        }
        _ => Ok(()),
    }
}

pub(super) fn is_owned(pool: &WorkerPool, child: &impl Resource) -> bool {
    let owner = child.owner_references().iter().find(|owner| owner.controller == Some(true));
    let uid = pool.uid().unwrap_or_default();
    owner.is_some_and(|owner| owner.uid == uid)
}

fn plan_replicas(pool: &WorkerPool, current: u32, scaled: Option<u32>) -> ReplicaPlan {
    match &pool.spec.autoscale {
        _ if pool.spec.suspend => ReplicaPlan { desired: 0, can_scale: true },
        None => ReplicaPlan { desired: non_negative(pool.spec.replicas), can_scale: true },
        Some(scale) => {
            let min = non_negative(scale.min);
            let max = non_negative(scale.max);
            let desired = scaled.unwrap_or(current).clamp(min, max.max(min));
            ReplicaPlan { desired, can_scale: scaled.is_some() }
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ServiceAccount;
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn pool(spec: &Value) -> WorkerPool {
        let mut whole = json!({"channel": "test_runners", "topics": ["ruby"]});
        whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        serde_json::from_value(json!({
            "apiVersion": "trackyard.dev/v1alpha1", "kind": "WorkerPool", "spec": whole,
            "metadata": {"name": "ruby", "uid": "own"}
        }))
        .unwrap()
    }

    #[rstest]
    #[case::fixed(json!({"replicas": 4}), 1, None, 4, true)]
    #[case::suspended(json!({"replicas": 4, "suspend": true}), 4, None, 0, true)]
    #[case::suspended_and_autoscaled(json!({"autoscale": {"min": 1, "max": 3}, "suspend": true}), 2, Some(2), 0, true)]
    #[case::no_load_report(json!({"replicas": 9, "autoscale": {"max": 3}}), 2, None, 2, false)]
    #[case::autoscaled(json!({"autoscale": {"max": 3}}), 2, Some(1), 1, true)]
    #[case::maximum(json!({"autoscale": {"max": 3}}), 7, None, 3, false)]
    #[case::minimum(json!({"autoscale": {"min": 2, "max": 3}}), 0, None, 2, false)]
    fn desired_replicas(
        #[case] spec: Value,
        #[case] current: u32,
        #[case] scaled: Option<u32>,
        #[case] desired: u32,
        #[case] can_scale: bool,
    ) {
        assert_eq!(plan_replicas(&pool(&spec), current, scaled), ReplicaPlan { desired, can_scale });
    }

    #[rstest]
    #[case::own(json!([{"apiVersion": "a", "kind": "WorkerPool", "name": "ruby", "uid": "own", "controller": true}]), true)]
    #[case::without_owner(json!([]), false)]
    #[case::earlier_pool(json!([{"apiVersion": "a", "kind": "WorkerPool", "name": "ruby", "uid": "old", "controller": true}]), false)]
    #[case::not_controlled(json!([{"apiVersion": "a", "kind": "WorkerPool", "name": "ruby", "uid": "own"}]), false)]
    fn foreign_children_are_rejected(#[case] owners: Value, #[case] is_own: bool) {
        let account: ServiceAccount =
            serde_json::from_value(json!({"metadata": {"name": "ruby-workers", "ownerReferences": owners}}))
                .unwrap();
        assert_eq!(check_owner(&pool(&json!({})), "ServiceAccount", Some(&account)).is_ok(), is_own);
    }
}
