//! The fourth step: children and status are applied, each by a manager of a fixed name, so that what others write into
//! other fields stays.

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use kube::api::{Api, Patch, PatchParams};
use kube::{Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use trackyard_crds::worker_pool::WorkerPoolStatus;
use trackyard_crds::{GROUP, VERSION, WorkerPool};

use super::build::Children;

const MANAGER: &str = "trackyard-operator";
const STATUS_MANAGER: &str = "trackyard-operator-status";

/// What the API server refused.
#[derive(Debug, thiserror::Error)]
#[error("cannot apply the {what}: {source}")]
pub(super) struct Error {
    what: &'static str,
    source: Box<kube::Error>,
}

impl Error {
    /// True if the API server has understood and refused; false for conflicts, haste and its own failures.
    pub(super) fn is_final(&self) -> bool {
        matches!(&*self.source, kube::Error::Api(status) if matches!(status.code, 400..=499) && ![409, 429].contains(&status.code))
    }
}

/// The account first: without it no pod can be made.
pub(super) async fn children(client: &Client, children: &Children) -> Result<(), Error> {
    if let Some(account) = &children.account {
        apply(client, "ServiceAccount", account).await?;
    }
    apply(client, "PodDisruptionBudget", &children.budget).await?;
    apply(client, "Deployment", &children.deployment).await
}

async fn apply<K>(client: &Client, what: &'static str, child: &K) -> Result<(), Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned
        + Serialize,
{
    let api: Api<K> = Api::namespaced(client.clone(), &child.namespace().unwrap_or_default());
    let manager = PatchParams::apply(MANAGER).force();
    let applied = api.patch(&child.name_any(), &manager, &Patch::Apply(child)).await;
    applied.map(drop).map_err(|source| Error { what, source: Box::new(source) })
}

/// Writes the status, unless it is what it was.
pub(super) async fn status(
    client: &Client,
    pool: &WorkerPool,
    status: &WorkerPoolStatus,
) -> Result<(), Error> {
    if pool.status.as_ref() == Some(status) {
        return Ok(());
    }
    let api: Api<WorkerPool> = Api::namespaced(client.clone(), &pool.namespace().unwrap_or_default());
    let patch = json!({"apiVersion": format!("{GROUP}/{VERSION}"), "kind": "WorkerPool", "status": status});
    let manager = PatchParams::apply(STATUS_MANAGER).force();
    let applied = api.patch_status(&pool.name_any(), &manager, &Patch::Apply(patch)).await;
    applied.map(drop).map_err(|source| Error { what: "status", source: Box::new(source) })
}
