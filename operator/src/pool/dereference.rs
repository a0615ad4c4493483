//! Looks up the objects that exist for a pool. It reads the stores of the watches and sends no request.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::ResourceExt;
use kube::runtime::reflector::store::WriterDropped;
use kube::runtime::reflector::{ObjectRef, Store};
use tokio::sync::SetOnce;
use trackyard_crds::WorkerPool;

use super::labels::{POOL_LABEL, children_name};

/// The stores of the watched kinds.
#[derive(Clone)]
pub(super) struct Stores {
    pub(super) deployments: Store<Deployment>,
    pub(super) accounts: Store<ServiceAccount>,
    pub(super) budgets: Store<PodDisruptionBudget>,
    pub(super) pods: Store<Pod>,
    /// Set once all first lists are complete. A store itself wakes only the last task that waits for it.
    are_ready: Arc<SetOnce<()>>,
}

/// The objects with the names of a pool's children, whoever created them.
pub(super) struct ExistingChildren {
    pub(super) deployment: Option<Arc<Deployment>>,
    pub(super) account: Option<Arc<ServiceAccount>>,
    pub(super) budget: Option<Arc<PodDisruptionBudget>>,
    pub(super) pods: Vec<Pod>,
}

impl ExistingChildren {
    /// Returns the number of pods that the Deployment asks for.
    pub(super) fn replicas(&self) -> u32 {
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
        Self { deployments, accounts, budgets, pods, are_ready: Arc::default() }
    }

    /// Waits until all first lists are complete, and wakes everyone who waits in [`dereference`]. Only one task may call it.
    pub(super) async fn wait_until_ready(&self) -> Result<(), WriterDropped> {
        self.deployments.wait_until_ready().await?;
        self.accounts.wait_until_ready().await?;
        self.budgets.wait_until_ready().await?;
        self.pods.wait_until_ready().await?;
        // It may be set already.
        let _ = self.are_ready.set(());
        Ok(())
    }
}

/// Returns the existing children of a pool. Waits for the first lists, without which a pool would seem to have none.
pub(super) async fn dereference(pool: &WorkerPool, stores: &Stores) -> ExistingChildren {
    stores.are_ready.wait().await;
    let name = children_name(pool);
    let namespace = pool.namespace().unwrap_or_default();
    let is_of_pool = |pod: &Pod| {
        pod.labels().get(POOL_LABEL) == Some(&pool.name_any())
            && pod.namespace().as_deref() == Some(namespace.as_str())
    };
    ExistingChildren {
        deployment: stores.deployments.get(&ObjectRef::new(&name).within(&namespace)),
        account: stores.accounts.get(&ObjectRef::new(&name).within(&namespace)),
        budget: stores.budgets.get(&ObjectRef::new(&name).within(&namespace)),
        pods: stores.pods.state_filter(is_of_pool).iter().map(|pod| Pod::clone(pod)).collect(),
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
    async fn all_pools_proceed_after_first_lists() {
        let (deployments, mut deployment_writer) = store();
        let (accounts, mut account_writer) = store();
        let (budgets, mut budget_writer) = store();
        let (pods, mut pod_writer) = store();
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
        let waiting = tokio::spawn({
            let stores = stores.clone();
            async move { stores.wait_until_ready().await.is_ok() }
        });
        // The lists complete one after another, and every waiting task is polled before each.
        tokio::task::yield_now().await;
        deployment_writer.apply_watcher_event(&Event::InitDone);
        tokio::task::yield_now().await;
        account_writer.apply_watcher_event(&Event::InitDone);
        tokio::task::yield_now().await;
        budget_writer.apply_watcher_event(&Event::InitDone);
        tokio::task::yield_now().await;
        assert!(pools.try_join_next().is_none(), "the list of pods is not complete");
        pod_writer.apply_watcher_event(&Event::InitDone);
        let pods = timeout(Duration::from_secs(1), pools.join_all()).await;
        assert_eq!(pods.expect("all pools proceed"), [0; 3]);
        assert!(waiting.await.unwrap());
    }
}
