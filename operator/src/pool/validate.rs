//! The second step: may the pool have children, and how many pods? Pure.

use kube::{Resource, ResourceExt};
use trackyard_crds::WorkerPool;

use super::build::name;
use super::dereference::Found;

/// Why a pool may not have children.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
pub enum Error {
    /// Something of that name is there, and not this pool's.
    #[error("the {kind} {name} is there and does not belong to this pool; remove it or rename the pool")]
    NotOurs {
        /// The kind.
        kind: &'static str,
        /// The name.
        name: String,
    },
}

/// How many pods there are to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) desired: u32,
    /// False if the pool scales by itself, and nothing is known to scale by.
    pub(super) can_scale: bool,
}

/// `scaled`: what the pool needs by the router's figures, if it scales by itself and they are known.
pub(super) fn validate(pool: &WorkerPool, found: &Found, scaled: Option<u32>) -> Result<Plan, Error> {
    owned(pool, "Deployment", found.deployment.as_deref())?;
    owned(pool, "ServiceAccount", found.account.as_deref())?;
    owned(pool, "PodDisruptionBudget", found.budget.as_deref())?;
    Ok(plan(pool, found.current(), scaled))
}

/// A child whose owner is not this very pool is never taken over, also not one of an earlier pool of the same name.
fn owned<K: Resource>(pool: &WorkerPool, kind: &'static str, child: Option<&K>) -> Result<(), Error> {
    match child {
        Some(child) if !is_owned(pool, child) => Err(Error::NotOurs { kind, name: name(pool) }),
        _ => Ok(()),
    }
}

pub(super) fn is_owned(pool: &WorkerPool, child: &impl Resource) -> bool {
    let owner = child.owner_references().iter().find(|owner| owner.controller == Some(true));
    let uid = pool.uid().unwrap_or_default();
    owner.is_some_and(|owner| owner.uid == uid)
}

fn plan(pool: &WorkerPool, current: u32, scaled: Option<u32>) -> Plan {
    match &pool.spec.autoscale {
        _ if pool.spec.suspend => Plan { desired: 0, can_scale: true },
        None => Plan { desired: positive(pool.spec.replicas), can_scale: true },
        Some(scale) => {
            let (min, max) = (positive(scale.min), positive(scale.max));
            let desired = scaled.unwrap_or(current).clamp(min, max.max(min));
            Plan { desired, can_scale: scaled.is_some() }
        }
    }
}

fn positive(number: i32) -> u32 {
    u32::try_from(number).unwrap_or(0)
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
    #[case::as_many_as_asked_for(json!({"replicas": 4}), 1, None, 4, true)]
    #[case::none_when_suspended(json!({"replicas": 4, "suspend": true}), 4, None, 0, true)]
    #[case::none_when_suspended_also_if_it_scales(json!({"autoscale": {"min": 1, "max": 3}, "suspend": true}), 2, Some(2), 0, true)]
    #[case::as_many_as_there_are_without_figures(json!({"replicas": 9, "autoscale": {"max": 3}}), 2, None, 2, false)]
    #[case::as_many_as_it_takes(json!({"autoscale": {"max": 3}}), 2, Some(1), 1, true)]
    #[case::not_above_the_maximum(json!({"autoscale": {"max": 3}}), 7, None, 3, false)]
    #[case::not_below_the_minimum(json!({"autoscale": {"min": 2, "max": 3}}), 0, None, 2, false)]
    fn pods_that_there_are_to_be(
        #[case] spec: Value,
        #[case] current: u32,
        #[case] scaled: Option<u32>,
        #[case] desired: u32,
        #[case] can_scale: bool,
    ) {
        assert_eq!(plan(&pool(&spec), current, scaled), Plan { desired, can_scale });
    }

    #[rstest]
    #[case::its_own(json!([{"apiVersion": "a", "kind": "WorkerPool", "name": "ruby", "uid": "own", "controller": true}]), true)]
    #[case::nobodys(json!([]), false)]
    #[case::an_earlier_pools(json!([{"apiVersion": "a", "kind": "WorkerPool", "name": "ruby", "uid": "old", "controller": true}]), false)]
    #[case::its_own_but_for_control(json!([{"apiVersion": "a", "kind": "WorkerPool", "name": "ruby", "uid": "own"}]), false)]
    fn only_its_own_children_are_touched(#[case] owners: Value, #[case] is_its: bool) {
        let account: ServiceAccount =
            serde_json::from_value(json!({"metadata": {"name": "ruby-workers", "ownerReferences": owners}}))
                .unwrap();
        assert_eq!(owned(&pool(&json!({})), "ServiceAccount", Some(&account)).is_ok(), is_its);
    }
}
