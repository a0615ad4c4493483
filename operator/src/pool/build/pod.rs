//! A worker's pod: the agent as its first process, privileged, for it makes namespaces and control groups; without a
//! token for the API server, for what it runs is hostile.

mod container;
mod volumes;

use k8s_openapi::api::core::v1::PodSpec;
use trackyard_crds::WorkerPool;

use super::{Error, Settings, drain, name};

/// From the end of the drain to the kill: the agent hands back what is unfinished.
const GRACE: u64 = 15;

pub(super) fn pod(pool: &WorkerPool, settings: &Settings) -> Result<PodSpec, Error> {
    let user = &pool.spec.template;
    let grace = drain(pool).as_secs().saturating_add(GRACE);
    Ok(PodSpec {
        containers: vec![container::container(pool, settings)?],
        volumes: Some(volumes::volumes(pool, settings)?),
        service_account_name: Some(user.service_account_name.clone().unwrap_or_else(|| name(pool))),
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        termination_grace_period_seconds: Some(i64::try_from(grace).map_err(|_| Error::TooLarge)?),
        node_selector: some(user.node_selector.clone()),
        tolerations: some(user.tolerations.clone()),
        affinity: user.affinity.clone(),
        topology_spread_constraints: some(user.topology_spread_constraints.clone()),
        priority_class_name: user.priority_class_name.clone(),
        image_pull_secrets: some(user.image_pull_secrets.clone()),
        ..PodSpec::default()
    })
}

/// What is empty is not written: the API server would drop it, and every look would find a difference.
fn some<T: Default + PartialEq>(value: T) -> Option<T> {
    (value != T::default()).then_some(value)
}
