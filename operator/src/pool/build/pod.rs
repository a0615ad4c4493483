//! A worker's pod. The agent is its first process and is privileged, because it creates namespaces and cgroups. It has no
//! token for the API server, because the code that it runs is hostile.

mod container;
mod volumes;

use k8s_openapi::api::core::v1::PodSpec;
use trackyard_crds::WorkerPool;

use super::super::labels::children_name;
use super::{AgentSettings, ChildrenError, drain_timeout};

/// Seconds between the end of the drain and the kill, in which the agent returns its unfinished jobs.
const GRACE_SECONDS: u64 = 15;

pub(super) fn pod(pool: &WorkerPool, settings: &AgentSettings) -> Result<PodSpec, ChildrenError> {
    let user = &pool.spec.template;
    let grace = drain_timeout(pool).as_secs().saturating_add(GRACE_SECONDS);
    Ok(PodSpec {
        containers: vec![container::container(pool, settings)?],
        volumes: Some(volumes::volumes(pool, settings)?),
        service_account_name: Some(user.service_account_name.clone().unwrap_or_else(|| children_name(pool))),
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        termination_grace_period_seconds: Some(i64::try_from(grace).map_err(|_| ChildrenError::TooLarge)?),
        node_selector: non_empty(user.node_selector.clone()),
        tolerations: non_empty(user.tolerations.clone()),
        affinity: user.affinity.clone(),
        topology_spread_constraints: non_empty(user.topology_spread_constraints.clone()),
        priority_class_name: user.priority_class_name.clone(),
        image_pull_secrets: non_empty(user.image_pull_secrets.clone()),
        ..PodSpec::default()
    })
}

/// Returns none for an empty value: the API server drops empty fields, and every comparison would then find a difference.
fn non_empty<T: Default + PartialEq>(value: T) -> Option<T> {
    (value != T::default()).then_some(value)
}
