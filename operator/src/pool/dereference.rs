//! The first step: what there is of a pool. Nothing is asked of the API server; the watches know it all.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::ResourceExt;
use kube::runtime::reflector::store::WriterDropped;
use kube::runtime::reflector::{ObjectRef, Store};
use tokio::sync::SetOnce;
use trackyard_crds::WorkerPool;

use super::build::{POOL, name};

/// What the watches know.
#[derive(Clone)]
pub(super) struct Stores {
    pub(super) deployments: Store<Deployment>,
    pub(super) accounts: Store<ServiceAccount>,
    pub(super) budgets: Store<PodDisruptionBudget>,
    pub(super) pods: Store<Pod>,
    /// All first lists have come. Apart from the stores, each of which wakes only the task that asked it last.
    are_full: Arc<SetOnce<()>>,
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
    pub(super) fn new(
        deployments: Store<Deployment>,
        accounts: Store<ServiceAccount>,
        budgets: Store<PodDisruptionBudget>,
        pods: Store<Pod>,
    ) -> Self {
        Self { deployments, accounts, budgets, pods, are_full: Arc::default() }
    }

    /// Waits until all first lists have come, and tells those who wait for it. For one task alone.
    pub(super) async fn fill(&self) -> Result<(), WriterDropped> {
        self.deployments.wait_until_ready().await?;
        self.accounts.wait_until_ready().await?;
        self.budgets.wait_until_ready().await?;
        self.pods.wait_until_ready().await?;
        // Once is enough.
        let _ = self.are_full.set(());
        Ok(())
    }
}

/// Waits for the first lists: by what has come so far, it would have no children.
pub(super) async fn dereference(pool: &WorkerPool, stores: &Stores) -> Found {
    stores.are_full.wait().await;
    let (name, namespace) = (name(pool), pool.namespace().unwrap_or_default());
    let is_its = |pod: &Pod| {
        pod.labels().get(POOL) == Some(&pool.name_any())
            && pod.namespace().as_deref() == Some(namespace.as_str())
    };
    Found {
        deployment: stores.deployments.get(&ObjectRef::new(&name).within(&namespace)),
        account: stores.accounts.get(&ObjectRef::new(&name).within(&namespace)),
        budget: stores.budgets.get(&ObjectRef::new(&name).within(&namespace)),
        pods: stores.pods.state_filter(is_its).iter().map(|pod| Pod::clone(pod)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use kube::runtime::reflector::store;
    use kube::runtime::watcher::Event;
    use serde_json::json;
    use tokio::task::JoinSet;
    use tokio::time::timeout;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn all_pools_go_on_once_the_lists_have_come() {
        let (deployments, mut of_deployments) = store();
        let (accounts, mut of_accounts) = store();
        let (budgets, mut of_budgets) = store();
        let (pods, mut of_pods) = store();
        let stores = Stores::new(deployments, accounts, budgets, pods);
        let mut pools = JoinSet::new();
        for name in ["python", "ruby", "rust"] {
            let stores = stores.clone();
            pools.spawn(async move {
                let pool = serde_json::from_value(json!({
                    "apiVersion": "trackyard.dev/v1alpha1", "kind": "WorkerPool", "metadata": {"name": name},
                    "spec": {"channel": "test_runners", "topics": ["*"]},
                }));
                dereference(&pool.unwrap(), &stores).await.pods.len()
            });
        }
        let filling = tokio::spawn({
            let stores = stores.clone();
            async move { stores.fill().await.is_ok() }
        });
        // One list after another, and whoever waits has looked before each.
        tokio::task::yield_now().await;
        of_deployments.apply_watcher_event(&Event::InitDone);
        tokio::task::yield_now().await;
        of_accounts.apply_watcher_event(&Event::InitDone);
        tokio::task::yield_now().await;
        of_budgets.apply_watcher_event(&Event::InitDone);
        tokio::task::yield_now().await;
        assert!(pools.try_join_next().is_none(), "the pods are not known yet");
        of_pods.apply_watcher_event(&Event::InitDone);
        let pods = timeout(Duration::from_secs(1), pools.join_all()).await;
        assert_eq!(pods.expect("all pools go on"), [0; 3]);
        assert!(filling.await.unwrap());
    }
}
