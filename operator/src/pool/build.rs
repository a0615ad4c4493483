//! A pool's children: pure, from the pool and the operator's settings. Each has the pool as its owner, so deleting the
//! pool deletes them, and the same inputs give the same bytes.

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

/// The label by which a pool's pods are known.
pub const POOL: &str = "trackyard.dev/pool";
/// The name of an agent's container.
pub const AGENT: &str = "agent";
/// Drain of a pool that sets none.
const DRAIN: Duration = Duration::from_secs(60);
/// The same for builders, whose work takes longer.
const DRAIN_BUILDERS: Duration = Duration::from_secs(20 * 60);

/// What is the same for all pools of an installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The agent's image where a pool names none.
    pub image: String,
    /// The router's client port, `tcp://HOST:PORT`.
    pub router: String,
    /// Variables of every agent, before a pool's own.
    pub environment: BTreeMap<String, String>,
    /// A Secret of the pools' namespace whose keys are variables of every agent.
    pub environment_secret: Option<String>,
    /// A Secret of the pools' namespace whose keys are files of every agent.
    pub files_secret: Option<String>,
    /// A Secret of the pools' namespace with the worker's keys and the router's public one.
    pub key_secret: Option<String>,
    /// What the agent itself takes of a pod, beside its slots.
    pub share: Share,
}

/// Processors and memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Processors.
    pub cpu: Cpus,
    /// Memory.
    pub memory: Bytes,
    /// Disk beside slots and cache: unpacking, logs.
    pub storage: Bytes,
}

impl Default for Share {
    fn default() -> Self {
        Self { cpu: Cpus(200), memory: Bytes(256 << 20), storage: Bytes(1 << 30) }
    }
}

/// All that belongs to a pool.
#[derive(Debug, Clone, PartialEq)]
pub struct Children {
    /// The pods.
    pub deployment: Deployment,
    /// Whom the pods run as; none if the pool names another.
    pub account: Option<ServiceAccount>,
    /// How many pods may be evicted at a time.
    pub budget: PodDisruptionBudget,
}

/// Why a pool has no children. Its schema refuses such a pool; one may be stored from before a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
pub enum Error {
    /// It is not stored yet.
    #[error("the pool has no uid: it is not stored yet")]
    NotStored,
    /// Its slots together are more than a number can say.
    #[error("the pool's slots together are larger than any machine; make slot or slots smaller")]
    TooLarge,
}

/// Makes them, for so many pods.
///
/// # Errors
/// When the pool cannot be.
pub fn children(pool: &WorkerPool, replicas: u32, settings: &Settings) -> Result<Children, Error> {
    Ok(Children {
        deployment: deployment::deployment(pool, replicas, settings)?,
        account: account(pool)?,
        budget: budget::budget(pool)?,
    })
}

/// How long a pod of the pool finishes what it has in hand.
#[must_use]
pub fn drain(pool: &WorkerPool) -> Duration {
    let default = if pool.spec.channel == Channel::Builders { DRAIN_BUILDERS } else { DRAIN };
    pool.spec.drain_timeout.map_or(default, |timeout| timeout.0)
}

fn account(pool: &WorkerPool) -> Result<Option<ServiceAccount>, Error> {
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

/// The name of a pool's children: none is another's by accident, such as the namespace's own account `default`.
#[must_use]
pub fn name(pool: &WorkerPool) -> String {
    format!("{}-workers", pool.name_any())
}

fn metadata(pool: &WorkerPool) -> Result<ObjectMeta, Error> {
    Ok(ObjectMeta {
        name: Some(name(pool)),
        namespace: pool.namespace(),
        labels: Some(labels(pool)),
        owner_references: Some(vec![pool.controller_owner_ref(&()).ok_or(Error::NotStored)?]),
        ..ObjectMeta::default()
    })
}

fn labels(pool: &WorkerPool) -> BTreeMap<String, String> {
    [
        ("app.kubernetes.io/name", "trackyard-worker"),
        ("app.kubernetes.io/component", "worker"),
        ("app.kubernetes.io/part-of", "trackyard"),
        ("app.kubernetes.io/managed-by", "trackyard-operator"),
        ("app.kubernetes.io/instance", &pool.name_any()),
        ("trackyard.dev/channel", channel(pool)),
        (POOL, &pool.name_any()),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

fn selector(pool: &WorkerPool) -> BTreeMap<String, String> {
    BTreeMap::from([(POOL.to_owned(), pool.name_any())])
}

/// The channel's word.
fn channel(pool: &WorkerPool) -> &'static str {
    pool.spec.channel.as_str()
}

#[cfg(test)]
mod tests;
