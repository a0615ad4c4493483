//! A default image that has changed reaches the pools two at a time, and no more of them once one stalls with it. A pool
//! that waits keeps its pods as they are.

pub mod decide;
mod look;
#[cfg(test)]
mod simulation;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::runtime::reflector::{ObjectRef, Store};
use trackyard_crds::WorkerPool;

use self::decide::{State, Turn, View, decide};
use super::build::{POOL, name};
use super::dereference::Stores;
use super::status::{Cause, Severity};

const DUE: State = State::Due { settled: true };

/// Pools that were given their turn, until it is seen; with what the API server had against it. Another operator begins
/// without: its first lists show what was written.
#[derive(Debug, Default)]
pub(super) struct Rollout(Mutex<BTreeMap<String, Option<&'static str>>>);

impl Rollout {
    /// Whether a pool takes the default image, by what the watches know.
    pub(super) fn turn(
        &self,
        pool: &WorkerPool,
        pools: &Store<WorkerPool>,
        stores: &Stores,
        image: &str,
    ) -> Turn {
        let own = deployment(pool, stores);
        // The pods do not matter for who has the image, or takes it anyway.
        match look::state(pool, own.as_deref(), &[], image) {
            Some(State::Due { .. } | State::Idle) => {
                self.decide(&pool.name_any(), views(pools, stores, image))
            }
            _ => Turn::Now,
        }
    }

    fn decide(&self, name: &str, mut views: Vec<View>) -> Turn {
        let mut given = self.given();
        given.retain(|given, _| views.iter().any(|view| view.name == *given && view.state == DUE));
        if given.contains_key(name) {
            return Turn::Now;
        }
        for view in &mut views {
            match given.get(&view.name) {
                Some(None) => view.state = State::Rolling,
                Some(Some(why)) => view.state = State::Stalled(why),
                None => {}
            }
        }
        let turn = decide(name, &views);
        if turn == Turn::Now && views.iter().any(|view| view.name == name && view.state == DUE) {
            tracing::info!(pool = name, "takes the new default image");
            given.insert(name.to_owned(), None);
        }
        turn
    }

    /// The API server does not let a pool take it.
    pub(super) fn refused(&self, pool: &str, why: &'static str) {
        if let Some(given) = self.given().get_mut(pool) {
            *given = Some(why);
        }
    }

    fn given(&self) -> MutexGuard<'_, BTreeMap<String, Option<&'static str>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn deployment(pool: &WorkerPool, stores: &Stores) -> Option<Arc<Deployment>> {
    let namespace = pool.namespace().unwrap_or_default();
    stores.deployments.get(&ObjectRef::new(&name(pool)).within(&namespace))
}

fn views(pools: &Store<WorkerPool>, stores: &Stores, image: &str) -> Vec<View> {
    let pods = stores.pods.state();
    let mut by_pool: BTreeMap<&str, Vec<&Pod>> = BTreeMap::new();
    for pod in &pods {
        by_pool.entry(pod.labels().get(POOL).map_or("", String::as_str)).or_default().push(pod);
    }
    let view = |pool: &WorkerPool| {
        let name = pool.name_any();
        let pods = by_pool.get(name.as_str()).map(Vec::as_slice).unwrap_or_default();
        let state = look::state(pool, deployment(pool, stores).as_deref(), pods, image)?;
        Some(View { name, state })
    };
    pools.state().iter().filter_map(|pool| view(pool)).collect()
}

/// A Deployment as it is to be, with the pods that there are.
pub(super) fn keep_pods(wanted: &mut Deployment, there: Option<&Deployment>) {
    let there = there.and_then(|there| there.spec.as_ref());
    if let (Some(wanted), Some(there)) = (&mut wanted.spec, there) {
        wanted.template = there.template.clone();
    }
}

impl Turn {
    /// What is told of a pool that waits.
    pub(super) fn cause(&self, image: &str) -> Option<Cause> {
        let (reason, message) = match self {
            Self::Now => return None,
            Self::Waits => (
                "AwaitingTurn",
                format!(
                    "pools take the new default image {image} two at a time; until its turn its pods stay as they are"
                ),
            ),
            Self::Stopped { by, why } => (
                "RolloutStopped",
                format!(
                    "the pool {by} stalls with the new default image {image} ({why}): until it is ready no other \
                     takes it, and the pods here stay as they are"
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
    fn what_the_api_server_refuses_stops_the_others_until_it_takes_it() {
        let rollout = Rollout::default();
        let view = |name: &str, state| View { name: name.to_owned(), state };
        let due = || vec![view("a", DUE), view("b", DUE)];
        assert_eq!(rollout.decide("a", due()), Turn::Now);
        rollout.refused("a", "ApplyFailed");
        let stopped = Turn::Stopped { by: "a".to_owned(), why: "ApplyFailed" };
        assert_eq!(rollout.decide("b", due()), stopped);
        assert_eq!(rollout.decide("a", due()), Turn::Now, "it tries again");
        assert_eq!(rollout.decide("b", vec![view("a", State::Rolling), view("b", DUE)]), Turn::Now);
    }
}
