//! Builds the desired children of a pool from the pool and the operator's settings: pure. The pool owns its children, so
//! deleting the pool deletes them. The same inputs give the same bytes.

mod budget;
mod deployment;
mod pod;

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Resource, ResourceExt};
use trackyard_crds::WorkerPool;
use trackyard_protocol::channel::Channel;
use trackyard_protocol::quantity::{Bytes, Cpus};

use super::labels::{children_name, labels};

/// The name of the agent's container.
pub const AGENT_CONTAINER: &str = "agent";
const DEFAULT_DRAIN_TIMEOUT: Duration = Duration::from_secs(60);
/// Builds take longer than other jobs.
const DEFAULT_BUILDER_DRAIN_TIMEOUT: Duration = Duration::from_secs(20 * 60);

/// The settings that all agents of an installation share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentSettings {
    /// The default image, for pools that set none.
    pub image: String,
    /// The router's client port, `tcp://HOST:PORT`.
    pub router: String,
    /// Environment variables of every agent; a pool's own variables override them.
    pub environment: BTreeMap<String, String>,
    /// A Secret in the pools' namespace whose keys become environment variables of every agent.
    pub environment_secret: Option<String>,
    /// A Secret in the pools' namespace whose keys become files of every agent.
    pub files_secret: Option<String>,
    /// A Secret in the pools' namespace with the worker's keys and the router's public key.
    pub key_secret: Option<String>,
    /// What the agent itself needs, in addition to its slots.
    pub share: AgentShare,
}

/// The resources of a pod that the agent itself needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgentShare {
    /// Processors.
    pub cpu: Cpus,
    /// Memory.
    pub memory: Bytes,
    /// Disk for unpacking and logs.
    pub storage: Bytes,
}

impl Default for AgentShare {
    fn default() -> Self {
        Self { cpu: Cpus(200), memory: Bytes(256 << 20), storage: Bytes(1 << 30) }
    }
}

/// The desired children of a pool.
#[derive(Debug, Clone, PartialEq)]
pub struct Children {
    /// Creates the pods.
    pub deployment: Deployment,
    /// The account of the pods; none if the pool names another one.
    pub account: Option<ServiceAccount>,
    /// Limits how many pods may be evicted at a time.
    pub budget: PodDisruptionBudget,
}

/// Why the children of a pool cannot be built. The schema rejects such pools, but one may have been stored before a rule existed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
pub enum ChildrenError {
    /// The pool is not stored yet.
    #[error("cannot build the pool's children: the pool has no UID, because it is not stored yet")]
    MissingUid,
    /// The resources of all slots together overflow.
    #[error("cannot build the pool's children: its slots together are too large; make slot or slots smaller")]
    TooLarge,
}

/// Returns the children of a pool of `replicas` pods.
///
/// # Errors
/// If the pool's spec is out of bounds.
pub fn children(
    pool: &WorkerPool,
    replicas: u32,
    settings: &AgentSettings,
) -> Result<Children, ChildrenError> {
    Ok(Children {
        deployment: deployment::deployment(pool, replicas, settings)?,
        account: account(pool)?,
        budget: budget::budget(pool)?,
    })
}

/// Returns how long a pod that is deleted may finish the jobs in flight.
#[must_use]
pub fn drain_timeout(pool: &WorkerPool) -> Duration {
    let default = if pool.spec.channel == Channel::Builders {
        DEFAULT_BUILDER_DRAIN_TIMEOUT
    } else {
        DEFAULT_DRAIN_TIMEOUT
    };
    pool.spec.drain_timeout.map_or(default, |timeout| timeout.0)
}

fn account(pool: &WorkerPool) -> Result<Option<ServiceAccount>, ChildrenError> {
    if pool.spec.template.service_account_name.is_some() {
        return Ok(None);
    }
    let metadata = metadata(pool)?;
    Ok(Some(ServiceAccount {
        metadata,
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }))
}

fn metadata(pool: &WorkerPool) -> Result<ObjectMeta, ChildrenError> {
    Ok(ObjectMeta {
        name: Some(children_name(pool)),
        namespace: pool.namespace(),
        labels: Some(labels(pool)),
        owner_references: Some(vec![pool.controller_owner_ref(&()).ok_or(ChildrenError::MissingUid)?]),
        ..ObjectMeta::default()
    })
}

#[cfg(test)]
mod tests;
