//! Keeps the deployed versions as resources of the cluster, which are the only truth there.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kube::Client;
use tokio::sync::watch::Receiver;
use trackyard_protocol::request::Tooling;
use trackyard_protocol::version::{ContainerVersion, PinnedVersion};

use super::object::VersionObject;
use super::status::Lookup;
use super::writer::Writer;
use super::{ClusterState, deployed};
use crate::config::LiveConfig;
use crate::deployed::Deployed;
use crate::versions::{StoreError, VersionStore};

/// Time that a change may take until the watch has shown it.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(20);

/// The deployed versions as resources of the cluster.
pub struct KubernetesStore {
    writer: Writer,
    state: Receiver<ClusterState>,
    live: Arc<LiveConfig>,
}

impl KubernetesStore {
    /// A store of the namespace that `state` follows.
    #[must_use]
    pub fn new(
        client: Client,
        namespace: &str,
        state: Receiver<ClusterState>,
        live: Arc<LiveConfig>,
    ) -> Self {
        Self { writer: Writer::new(client, namespace), state, live }
    }

    fn versions(&self) -> Result<Vec<VersionObject>, StoreError> {
        self.state.borrow().versions.clone().ok_or_else(|| {
            StoreError::Unavailable("the cluster has not listed its deployed versions yet".to_owned())
        })
    }

    /// Returns the objects that deploy a version.
    fn objects(
        &self,
        tooling: &Tooling,
        version: &ContainerVersion,
    ) -> Result<Vec<VersionObject>, StoreError> {
        Ok(self.versions()?.into_iter().filter(|object| object.is_of(tooling, version)).collect())
    }

    /// Waits until the watch shows what was written.
    async fn wait_until(
        &self,
        is_written: impl Fn(&[VersionObject]) -> bool + Send,
    ) -> Result<Deployed, StoreError> {
        let mut state = self.state.clone();
        let seen = state.wait_for(|state| state.versions.as_deref().is_some_and(&is_written)).await;
        let state = seen.map_err(|_| StoreError::Unavailable("the router is shutting down".to_owned()))?;
        Ok(deployed(state.versions.as_deref().unwrap_or_default()))
    }

    async fn deploy_one(&self, tooling: &Tooling, pinned: &PinnedVersion) -> Result<Deployed, StoreError> {
        if self.objects(tooling, &pinned.version)?.is_empty() {
            self.writer.create(tooling, &pinned.version).await?;
        }
        self.wait_until(|all| all.iter().any(|object| object.is_of(tooling, &pinned.version))).await?;
        self.pin_one(tooling, pinned).await?;
        let is_pinned =
            |object: &VersionObject| object.is_of(tooling, &pinned.version) && object.pinned.digest.is_some();
        self.wait_until(|all| all.iter().any(is_pinned)).await
    }

    async fn pin_one(&self, tooling: &Tooling, pinned: &PinnedVersion) -> Result<(), StoreError> {
        let Some(digest) = &pinned.digest else { return Ok(()) };
        let images = &self.live.current().images;
        let repository = images.repository(tooling.channel, &tooling.track).unwrap_or_default();
        let image = format!("{}/{repository}", images.location);
        for object in self.objects(tooling, &pinned.version)? {
            // A digest that is set never changes.
            if object.pinned.digest.is_none() {
                self.writer.apply_status(&object, &Lookup::Resolved { digest, image: &image }).await?;
            }
        }
        Ok(())
    }

    /// Deletes the objects, or none of them if the router may not delete one.
    async fn delete_all(&self, objects: Vec<VersionObject>) -> Result<Deployed, StoreError> {
        let foreign = objects.iter().find_map(|object| Some((object, object.manager.clone()?)));
        if let Some((object, manager)) = foreign {
            return Err(StoreError::Managed {
                version: object.pinned.version.clone(),
                object: object.name.clone(),
                manager,
            });
        }
        for object in &objects {
            self.writer.delete(object).await?;
        }
        let is_deleted = |all: &[VersionObject]| {
            !all.iter().any(|object| objects.iter().any(|deleted| deleted.uid == object.uid))
        };
        self.wait_until(is_deleted).await
    }
}

async fn with_timeout<T: Send>(
    work: impl Future<Output = Result<T, StoreError>> + Send,
) -> Result<T, StoreError> {
    tokio::time::timeout(CHANGE_TIMEOUT, work).await.map_err(|_| {
        StoreError::Unavailable("the cluster took too long; look at its ContainerVersions".to_owned())
    })?
}

#[async_trait]
impl VersionStore for KubernetesStore {
    fn deployed(&self) -> Deployed {
        deployed(self.state.borrow().versions.as_deref().unwrap_or_default())
    }

    async fn deploy(&self, tooling: Tooling, version: PinnedVersion) -> Result<Deployed, StoreError> {
        with_timeout(self.deploy_one(&tooling, &version)).await
    }

    async fn unload(&self, tooling: Tooling, version: ContainerVersion) -> Result<Deployed, StoreError> {
        let objects = self.objects(&tooling, &version)?;
        if objects.is_empty() {
            return Err(StoreError::NotDeployed(version));
        }
        with_timeout(self.delete_all(objects)).await
    }

    async fn update(&self, tooling: Tooling, versions: Vec<PinnedVersion>) -> Result<Deployed, StoreError> {
        let stays =
            |object: &VersionObject| versions.iter().any(|pinned| pinned.version == object.pinned.version);
        let all = self.versions()?.into_iter();
        let removed = all.filter(|object| object.tooling == tooling && !stays(object)).collect();
        with_timeout(async {
            // Deletions come first, because they may be refused.
            let mut deployed = self.delete_all(removed).await?;
            for version in &versions {
                deployed = self.deploy_one(&tooling, version).await?;
            }
            Ok(deployed)
        })
        .await
    }

    async fn pin(&self, pins: Vec<(Tooling, PinnedVersion)>) -> Result<Deployed, StoreError> {
        for (tooling, pinned) in pins {
            with_timeout(self.pin_one(&tooling, &pinned)).await?;
        }
        Ok(self.deployed())
    }

    async fn report_unresolved(
        &self,
        tooling: Tooling,
        version: ContainerVersion,
        message: String,
    ) -> Result<(), StoreError> {
        for object in self.objects(&tooling, &version)? {
            with_timeout(self.writer.apply_status(&object, &Lookup::Failed { message: &message })).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::future::pending;

    use kube::client::Body;
    use serde_json::json;
    use tower::service_fn;

    use super::*;
    use crate::config::ConfigFile;

    const TAG: &str = "git-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    /// Returns a store whose API server accepts every request and answers none.
    fn store(dir: &tempfile::TempDir) -> KubernetesStore {
        let silent =
            service_fn(|_: http::Request<Body>| pending::<Result<http::Response<Body>, Infallible>>());
        let object = json!({
            "apiVersion": "trackyard.dev/v1alpha1", "kind": "ContainerVersion",
            "metadata": {"name": "x", "uid": "1", "labels": {"trackyard.dev/made-by": "router"}},
            "spec": {"channel": "test_runners", "track": "ruby", "version": TAG}, "status": {},
        });
        let object = VersionObject::read(&serde_json::from_value(object).unwrap()).unwrap();
        let state = ClusterState { versions: Some(object.into_iter().collect()), ..ClusterState::default() };
        let path = dir.path().join("router.yml");
        std::fs::write(&path, "{}").unwrap();
        let live = LiveConfig::start(ConfigFile::open(&path, None).unwrap()).unwrap();
        let (_, state) = tokio::sync::watch::channel(state);
        KubernetesStore::new(Client::new(silent, "workers"), "workers", state, Arc::new(live))
    }

    #[tokio::test(start_paused = true)]
    async fn unanswered_write_times_out() {
        let dir = tempfile::tempdir().unwrap();
        let tooling = Tooling { channel: "test_runners".parse().unwrap(), track: "ruby".parse().unwrap() };
        let version: ContainerVersion = TAG.parse().unwrap();
        let reported = store(&dir)
            .report_unresolved(tooling.clone(), version.clone(), "it is not there".to_owned())
            .await;
        let unloaded = store(&dir).unload(tooling, version).await.map(drop);
        for result in [reported, unloaded] {
            let error = format!("{:?}", result.unwrap_err());
            assert!(error.contains("the cluster took too long"), "{error}");
        }
    }
}
