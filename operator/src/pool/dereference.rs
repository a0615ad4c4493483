//! The first step: what there is of a pool. Nothing is asked of the API server; the watches know it all.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::ResourceExt;
use kube::runtime::reflector::store::WriterDropped;
use kube::runtime::reflector::{ObjectRef, Store};
use trackyard_crds::WorkerPool;

use super::build::{POOL, name};

/// What the watches know.
#[derive(Clone)]
pub(super) struct Stores {
    pub(super) deployments: Store<Deployment>,
    pub(super) accounts: Store<ServiceAccount>,
    pub(super) budgets: Store<PodDisruptionBudget>,
    pub(super) pods: Store<Pod>,
}

/// What there is under the names of a pool's children, whoever made it.
pub(super) struct Found {
    pub(super) deployment: Option<Arc<Deployment>>,
    pub(super) account: Option<Arc<ServiceAccount>>,
    pub(super) budget: Option<Arc<PodDisruptionBudget>>,
    pub(super) pods: Vec<Pod>,
}

impl Found {
    /// Pods that the Deployment asks for.
    pub(super) fn current(&self) -> u32 {
        let replicas = self.deployment.as_ref().and_then(|deployment| deployment.spec.as_ref()?.replicas);
        u32::try_from(replicas.unwrap_or(0)).unwrap_or(0)
    }
}

impl Stores {
    pub(super) async fn wait_until_ready(&self) -> Result<(), WriterDropped> {
        self.deployments.wait_until_ready().await?;
        self.accounts.wait_until_ready().await?;
        self.budgets.wait_until_ready().await?;
        self.pods.wait_until_ready().await
    }
}

pub(super) async fn dereference(pool: &WorkerPool, stores: &Stores) -> Result<Found, WriterDropped> {
    stores.wait_until_ready().await?;
    let (name, namespace) = (name(pool), pool.namespace().unwrap_or_default());
    let is_its = |pod: &Pod| {
        pod.labels().get(POOL) == Some(&pool.name_any())
            && pod.namespace().as_deref() == Some(namespace.as_str())
    };
    Ok(Found {
        deployment: stores.deployments.get(&ObjectRef::new(&name).within(&namespace)),
        account: stores.accounts.get(&ObjectRef::new(&name).within(&namespace)),
        budget: stores.budgets.get(&ObjectRef::new(&name).within(&namespace)),
        pods: stores.pods.state_filter(is_its).iter().map(|pod| Pod::clone(pod)).collect(),
    })
}
