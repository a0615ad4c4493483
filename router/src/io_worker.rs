//! Runs background tasks: requests that wait for files or the network. They run beside the service's thread, and their
//! replies go back to it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::Receiver;
use trackyard_images::ImageError;
use trackyard_protocol::reason::Reason;
use trackyard_protocol::request::{Tooling, VersionRequest};
use trackyard_protocol::version::{ContainerVersion, PinnedVersion};

use crate::actions::{BackgroundTask, Reply, container_versions};
use crate::config::LiveConfig;
use crate::dispatch::Waiter;
use crate::service::{Command, Handle};
use crate::versions::{Catalogue, StoreError, VersionStore};

/// Maximum number of tasks of one worker that run at a time.
const MAX_CONCURRENT_TASKS: usize = 16;
/// Timeout of a task, including retries of requests to the registry.
const TASK_TIMEOUT: Duration = Duration::from_secs(60);

/// Runs background tasks.
#[derive(Clone)]
pub(crate) struct IoWorker {
    /// The configuration in force, which names the image source.
    pub(crate) live: Arc<LiveConfig>,
    /// Looks up tags.
    pub(crate) catalogue: Arc<Catalogue>,
    /// Keeps the deployed versions.
    pub(crate) store: Arc<dyn VersionStore>,
}

impl IoWorker {
    /// Runs tasks until the service has dropped its sender.
    pub(crate) async fn run(self, mut tasks: Receiver<(Waiter, BackgroundTask)>, service: Handle) {
        let permits = Arc::new(Semaphore::new(MAX_CONCURRENT_TASKS));
        while let Some((waiter, task)) = tasks.recv().await {
            let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
            let worker = self.clone();
            let service = service.clone();
            tokio::spawn(async move {
                let result = tokio::time::timeout(TASK_TIMEOUT, worker.execute(task)).await;
                let reply = result.unwrap_or_else(|_| Err(timed_out())).unwrap_or_else(|error| error);
                service.send(Command::Reply(waiter, reply));
                drop(permit);
            });
        }
    }

    async fn execute(&self, task: BackgroundTask) -> Result<Reply, Reply> {
        match task {
            BackgroundTask::Deploy(VersionRequest { tooling, version }) => {
                self.deploy(tooling, version).await
            }
            BackgroundTask::Unload(VersionRequest { tooling, version }) => {
                Ok(container_versions(&self.store.unload(tooling, version).await?))
            }
            BackgroundTask::Update { tooling, versions } => self.update(tooling, versions).await,
            BackgroundTask::ListAvailable(tooling) => self.list(&tooling).await,
        }
    }

    async fn deploy(&self, tooling: Tooling, version: ContainerVersion) -> Result<Reply, Reply> {
        let pinned = self.pinned(&tooling, version).await?;
        Ok(container_versions(&self.store.deploy(tooling, pinned).await?))
    }

    async fn update(&self, tooling: Tooling, wanted: BTreeSet<ContainerVersion>) -> Result<Reply, Reply> {
        let mut versions = Vec::with_capacity(wanted.len());
        for version in wanted {
            versions.push(self.pinned(&tooling, version).await?);
        }
        Ok(container_versions(&self.store.update(tooling, versions).await?))
    }

    async fn list(&self, tooling: &Tooling) -> Result<Reply, Reply> {
        let source = &self.live.current().images;
        let images = self.catalogue.list(source, tooling).await.map_err(|error| match error {
            ImageError::NotFound { .. } => {
                let Tooling { channel, track } = tooling;
                Reply::error(Reason::UnknownTrack, format!("{channel} has no repository for {track}"))
            }
            other => source_unavailable(&other),
        })?;
        Ok(Reply::ok(&json!({"list_images": images})))
    }

    /// Returns a version with its digest, which is looked up unless the version is deployed with one.
    async fn pinned(&self, tooling: &Tooling, version: ContainerVersion) -> Result<PinnedVersion, Reply> {
        let deployed = self.store.deployed();
        if let Some(pinned) = deployed.find(tooling, &version).filter(|pinned| pinned.digest.is_some()) {
            return Ok(pinned.clone());
        }
        let source = &self.live.current().images;
        let pinned = self.catalogue.resolve(source, tooling, &version).await;
        pinned.map_err(|error| lookup_failed(tooling, &version, &error))
    }
}

fn lookup_failed(tooling: &Tooling, version: &ContainerVersion, error: &ImageError) -> Reply {
    let why = match error {
        ImageError::NotFound { .. } => "is not among the images: build it, or push it, first",
        ImageError::Platform { .. } => "has no image for this platform",
        ImageError::Malformed { .. } | ImageError::MediaType { .. } | ImageError::TooLarge { .. } => {
            "is not a usable image"
        }
        other => return source_unavailable(other),
    };
    let Tooling { channel, track } = tooling;
    Reply::error(Reason::BadVersion, format!("{version} of {track} in {channel} {why}"))
}

/// Returns the error for an image source that cannot be read. The details are logged only: they may name a path.
fn source_unavailable(error: &ImageError) -> Reply {
    tracing::error!(%error, "cannot read the image source");
    let message =
        format!("the image source cannot be read now ({}); the router's log says more", error.as_str());
    Reply::error(Reason::StoreUnavailable, message)
}

fn timed_out() -> Reply {
    let message = format!("this took longer than {} s; ask again", TASK_TIMEOUT.as_secs());
    Reply::error(Reason::StoreUnavailable, message)
}

impl From<StoreError> for Reply {
    fn from(error: StoreError) -> Self {
        let reason = match error {
            StoreError::NotDeployed(_) => Reason::NotDeployed,
            StoreError::Managed { .. } => Reason::Forbidden,
            StoreError::Unavailable(_) => Reason::StoreUnavailable,
        };
        Self::error(reason, error.to_string())
    }
}
