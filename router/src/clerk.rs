//! Errands: what a client asked for that waits for files or the network. They run beside the sockets' thread, and
//! their replies go back to it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::Receiver;
use trackyard_images::ImageError;
use trackyard_protocol::reason::Reason;
use trackyard_protocol::request::{Place, VersionRequest};
use trackyard_protocol::version::{ContainerVersion, PinnedVersion};

use crate::actions::{Errand, Reply, container_versions};
use crate::config::LiveConfig;
use crate::dispatch::Waiter;
use crate::service::{Command, Handle};
use crate::versions::{Catalogue, StoreError, VersionStore};

/// Errands of a clerk at a time.
const AT_A_TIME: usize = 16;
/// The longest errand, the registry's retries included.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs errands.
#[derive(Clone)]
pub(crate) struct Clerk {
    /// The configuration in force, for the image source.
    pub(crate) live: Arc<LiveConfig>,
    /// What tags name.
    pub(crate) catalogue: Arc<Catalogue>,
    /// Where the deployed versions are kept.
    pub(crate) store: Arc<dyn VersionStore>,
}

impl Clerk {
    /// Takes errands until there can be no more.
    pub(crate) async fn work(self, mut errands: Receiver<(Waiter, Errand)>, service: Handle) {
        let permits = Arc::new(Semaphore::new(AT_A_TIME));
        while let Some((waiter, errand)) = errands.recv().await {
            let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
            let (clerk, service) = (self.clone(), service.clone());
            tokio::spawn(async move {
                let reply = tokio::time::timeout(PATIENCE, clerk.run(errand)).await;
                service.send(Command::Reply(waiter, reply.unwrap_or_else(|_| too_slow())));
                drop(permit);
            });
        }
    }

    async fn run(&self, errand: Errand) -> Reply {
        let done = match errand {
            Errand::Deploy(VersionRequest { place, version }) => self.deploy(place, version).await,
            Errand::Unload(VersionRequest { place, version }) => self
                .store
                .unload(place, version)
                .await
                .map(|all| container_versions(&all))
                .map_err(Into::into),
            Errand::Update { place, versions } => self.update(place, versions).await,
            Errand::ListAvailable(place) => self.list(&place).await,
        };
        done.unwrap_or_else(|error: Reply| error)
    }

    async fn deploy(&self, place: Place, version: ContainerVersion) -> Result<Reply, Reply> {
        let pinned = self.pinned(&place, version).await?;
        Ok(container_versions(&self.store.deploy(place, pinned).await?))
    }

    async fn update(&self, place: Place, wanted: BTreeSet<ContainerVersion>) -> Result<Reply, Reply> {
        let mut versions = Vec::with_capacity(wanted.len());
        for version in wanted {
            versions.push(self.pinned(&place, version).await?);
        }
        Ok(container_versions(&self.store.update(place, versions).await?))
    }

    async fn list(&self, place: &Place) -> Result<Reply, Reply> {
        let source = &self.live.current().images;
        let images = self.catalogue.list(source, place).await.map_err(|error| match error {
            ImageError::NotFound { .. } => {
                let Place { channel, track } = place;
                Reply::error(Reason::UnknownTrack, format!("{channel} has no repository for {track}"))
            }
            other => unreadable(&other),
        })?;
        Ok(Reply::ok(&json!({"list_images": images})))
    }

    /// A version with its digest: the one it has, if it is deployed already.
    async fn pinned(&self, place: &Place, version: ContainerVersion) -> Result<PinnedVersion, Reply> {
        if let Some(known) =
            self.store.deployed().find(place, &version).filter(|known| known.digest.is_some())
        {
            return Ok(known.clone());
        }
        let source = &self.live.current().images;
        self.catalogue
            .resolve(source, place, &version)
            .await
            .map_err(|error| refused(place, &version, &error))
    }
}

fn refused(place: &Place, version: &ContainerVersion, error: &ImageError) -> Reply {
    let why = match error {
        ImageError::NotFound { .. } => "is not among the images: build it, or push it, first",
        ImageError::Platform { .. } => "has no image for this platform",
        ImageError::Malformed { .. } | ImageError::MediaType { .. } | ImageError::TooLarge { .. } => {
            "is no image that can be used"
        }
        other => return unreadable(other),
    };
    let Place { channel, track } = place;
    Reply::error(Reason::BadVersion, format!("{version} of {track} in {channel} {why}"))
}

/// The details stay in the log: they may name a path.
fn unreadable(error: &ImageError) -> Reply {
    tracing::error!(%error, "the image source cannot be read");
    let message =
        format!("the image source cannot be read now ({}); the router's log says more", error.as_str());
    Reply::error(Reason::StoreUnavailable, message)
}

fn too_slow() -> Reply {
    let message = format!("this took longer than {} s; ask again", PATIENCE.as_secs());
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
