//! Rolls a new default image out to two pools at a time, and to no further pool once one stalls with it. A pool that must wait
//! keeps its pods as they are.

pub mod decide;
mod observe;
#[cfg(test)]
mod simulation;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::runtime::reflector::{ObjectRef, Store};
use trackyard_crds::WorkerPool;

use self::decide::{PoolRollout, RolloutDecision, RolloutState, decide};
use super::dereference::Stores;
use super::labels::{POOL_LABEL, children_name};
use super::status::{Cause, Severity};

const OUTDATED: RolloutState = RolloutState::Outdated { is_settled: true };

/// The pools that were allowed to take the image and that the watches still show with the old one, with the reason if the API
/// server rejected it. A new operator begins without any: its first lists show what was written.
#[derive(Debug, Default)]
pub(super) struct Rollout(Mutex<BTreeMap<String, Option<&'static str>>>);

impl Rollout {
    /// Decides whether a pool takes the default image now, from the stores of the watches.
    pub(super) fn decide(
        &self,
        pool: &WorkerPool,
        pools: &Store<WorkerPool>,
        stores: &Stores,
        image: &str,
    ) -> RolloutDecision {
        let own = deployment(pool, stores);
        // The pods do not matter: they distinguish only states in which the pool has the image already.
        match observe::state(pool, own.as_deref(), &[], image) {
            Some(RolloutState::Outdated { .. } | RolloutState::WithoutPods) => {
                self.decide_among(&pool.name_any(), observe_all(pools, stores, image))
            }
            _ => RolloutDecision::Proceed,
        }
    }

    fn decide_among(&self, name: &str, mut pools: Vec<PoolRollout>) -> RolloutDecision {
        let mut started = self.started();
        started.retain(|started, _| pools.iter().any(|pool| pool.name == *started && pool.state == OUTDATED));
        if started.contains_key(name) {
            return RolloutDecision::Proceed;
        }
        for pool in &mut pools {
            match started.get(&pool.name) {
                Some(None) => pool.state = RolloutState::Rolling,
                Some(Some(why)) => pool.state = RolloutState::Stalled(why),
                None => {}
            }
        }
        let decision = decide(name, &pools);
        let is_outdated = pools.iter().any(|pool| pool.name == name && pool.state == OUTDATED);
        if decision == RolloutDecision::Proceed && is_outdated {
            tracing::info!(pool = name, "rolling out the new default image");
            started.insert(name.to_owned(), None);
        }
        decision
    }

    /// Records that the API server rejected the new children of a pool.
    pub(super) fn on_rejected(&self, pool: &str, why: &'static str) {
        if let Some(started) = self.started().get_mut(pool) {
            *started = Some(why);
        }
    }

    fn started(&self) -> MutexGuard<'_, BTreeMap<String, Option<&'static str>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn deployment(pool: &WorkerPool, stores: &Stores) -> Option<Arc<Deployment>> {
    let namespace = pool.namespace().unwrap_or_default();
    stores.deployments.get(&ObjectRef::new(&children_name(pool)).within(&namespace))
}

/// Returns the states of all pools that take the default image.
fn observe_all(pools: &Store<WorkerPool>, stores: &Stores, image: &str) -> Vec<PoolRollout> {
    let pods = stores.pods.state();
    let mut by_pool: BTreeMap<&str, Vec<&Pod>> = BTreeMap::new();
    for pod in &pods {
        by_pool.entry(pod.labels().get(POOL_LABEL).map_or("", String::as_str)).or_default().push(pod);
    }
    pools
        .state()
        .iter()
        .filter_map(|pool| {
            let name = pool.name_any();
            let pods = by_pool.get(name.as_str()).map(Vec::as_slice).unwrap_or_default();
            let state = observe::state(pool, deployment(pool, stores).as_deref(), pods, image)?;
            Some(PoolRollout { name, state })
        })
        .collect()
}

/// Replaces the pod template of `desired` by the existing one, so that no pod is replaced.
pub(super) fn keep_template(desired: &mut Deployment, existing: Option<&Deployment>) {
    let existing = existing.and_then(|existing| existing.spec.as_ref());
    if let (Some(desired), Some(existing)) = (&mut desired.spec, existing) {
        desired.template = existing.template.clone();
    }
}

impl RolloutDecision {
    /// Returns the cause for the conditions of a pool that must wait.
    pub(super) fn cause(&self, image: &str) -> Option<Cause> {
        let (reason, message) = match self {
            Self::Proceed => return None,
            Self::Queued => (
                "RolloutQueued",
                format!(
                    "waiting to roll out the new default image {image}: two pools take it at a time; this pool keeps \
                     its pods until then"
                ),
            ),
            Self::Stopped { by, why } => (
                "RolloutStopped",
                format!(
                    "cannot roll out the new default image {image}: the pool {by} stalls with it ({why}); fix that \
                     pool, this one keeps its pods until then"
                ),
            ),
        };
        Some(Cause { reason, message, severity: Severity::Waiting })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejected_pool_stops_others_until_accepted() {
        let rollout = Rollout::default();
        let pool = |name: &str, state| PoolRollout { name: name.to_owned(), state };
        let outdated = || vec![pool("a", OUTDATED), pool("b", OUTDATED)];
        assert_eq!(rollout.decide_among("a", outdated()), RolloutDecision::Proceed);
        rollout.on_rejected("a", "ApplyFailed");
        let stopped = RolloutDecision::Stopped { by: "a".to_owned(), why: "ApplyFailed" };
        assert_eq!(rollout.decide_among("b", outdated()), stopped);
        assert_eq!(rollout.decide_among("a", outdated()), RolloutDecision::Proceed, "it is retried");
        let accepted = vec![pool("a", RolloutState::Rolling), pool("b", OUTDATED)];
        assert_eq!(rollout.decide_among("b", accepted), RolloutDecision::Proceed);
    }
}
