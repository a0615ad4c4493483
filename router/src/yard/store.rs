//! The deployed versions as resources of the cluster, which are the only truth there.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kube::Client;
use tokio::sync::watch::Receiver;
use trackyard_protocol::request::Place;
use trackyard_protocol::version::{ContainerVersion, PinnedVersion};

use super::object::Version;
use super::status::Outcome;
use super::writer::Writer;
use super::{Yard, deployed};
use crate::config::LiveConfig;
use crate::versions::{Deployed, Error, VersionStore};

/// How long the cluster may take for a change, until it is seen.
const PATIENCE: Duration = Duration::from_secs(20);

/// The deployed versions as resources of the cluster.
pub struct KubernetesStore {
    writer: Writer,
    yard: Receiver<Yard>,
    live: Arc<LiveConfig>,
}

impl KubernetesStore {
    /// A store of a namespace, whose objects `yard` tells.
    #[must_use]
    pub fn new(client: Client, namespace: &str, yard: Receiver<Yard>, live: Arc<LiveConfig>) -> Self {
        Self { writer: Writer::new(client, namespace), yard, live }
    }

    fn known(&self) -> Result<Vec<Version>, Error> {
        let unknown =
            || Error::Unavailable("the cluster has not said yet which versions are deployed".to_owned());
        self.yard.borrow().versions.clone().ok_or_else(unknown)
    }

    fn objects(&self, place: &Place, version: &ContainerVersion) -> Result<Vec<Version>, Error> {
        Ok(self.known()?.into_iter().filter(|known| names(known, place, version)).collect())
    }

    /// Waits until what was written comes back by the watch.
    async fn seen(&self, is_there: impl Fn(&[Version]) -> bool + Send) -> Result<Deployed, Error> {
        let mut yard = self.yard.clone();
        let seen = yard.wait_for(|yard| yard.versions.as_deref().is_some_and(&is_there)).await;
        let yard = seen.map_err(|_| Error::Unavailable("the router is about to end".to_owned()))?;
        Ok(deployed(yard.versions.as_deref().unwrap_or_default()))
    }

    async fn deploy_one(&self, place: &Place, pinned: &PinnedVersion) -> Result<Deployed, Error> {
        if self.objects(place, &pinned.version)?.is_empty() {
            self.writer.create(place, &pinned.version).await?;
        }
        self.seen(|all| all.iter().any(|known| names(known, place, &pinned.version))).await?;
        self.pin_one(place, pinned).await?;
        let is_pinned =
            |known: &Version| names(known, place, &pinned.version) && known.pinned.digest.is_some();
        self.seen(|all| all.iter().any(is_pinned)).await
    }

    async fn pin_one(&self, place: &Place, pinned: &PinnedVersion) -> Result<(), Error> {
        let Some(digest) = &pinned.digest else { return Ok(()) };
        let images = &self.live.current().images;
        let repository = images.repository(place.channel, &place.track).unwrap_or_default();
        let image = format!("{}/{repository}", images.location);
        for known in self.objects(place, &pinned.version)? {
            // A digest that is set never changes.
            if known.pinned.digest.is_none() {
                self.writer.tell(&known, &Outcome::Deployed { digest, image: &image }).await?;
            }
        }
        Ok(())
    }

    /// Deletes objects that are the router's to delete: all, or none.
    async fn delete_all(&self, gone: Vec<Version>) -> Result<Deployed, Error> {
        if let Some(foreign) = gone.iter().find(|known| known.manager.is_some()) {
            let manager = foreign.manager.clone().unwrap_or_default();
            return Err(Error::Managed {
                version: foreign.pinned.version.clone(),
                object: foreign.name.clone(),
                manager,
            });
        }
        for known in &gone {
            self.writer.delete(known).await?;
        }
        self.seen(|all| !all.iter().any(|known| gone.iter().any(|gone| gone.uid == known.uid))).await
    }
}

fn names(known: &Version, place: &Place, version: &ContainerVersion) -> bool {
    known.place == *place && known.pinned.version == *version
}

async fn in_time<T: Send>(work: impl Future<Output = Result<T, Error>> + Send) -> Result<T, Error> {
    let late = |_| Error::Unavailable("the cluster took too long; look at its ContainerVersions".to_owned());
    tokio::time::timeout(PATIENCE, work).await.map_err(late)?
}

#[async_trait]
impl VersionStore for KubernetesStore {
    fn deployed(&self) -> Deployed {
        deployed(self.yard.borrow().versions.as_deref().unwrap_or_default())
    }

    async fn deploy(&self, place: Place, version: PinnedVersion) -> Result<Deployed, Error> {
        in_time(self.deploy_one(&place, &version)).await
    }

    async fn unload(&self, place: Place, version: ContainerVersion) -> Result<Deployed, Error> {
        let gone = self.objects(&place, &version)?;
        if gone.is_empty() {
            return Err(Error::NotDeployed(version));
        }
        in_time(self.delete_all(gone)).await
    }

    async fn update(&self, place: Place, versions: Vec<PinnedVersion>) -> Result<Deployed, Error> {
        let kept = |known: &Version| versions.iter().any(|pinned| pinned.version == known.pinned.version);
        let gone = self.known()?.into_iter().filter(|known| known.place == place && !kept(known)).collect();
        let work = async {
            // First what may be refused.
            let mut all = self.delete_all(gone).await?;
            for version in &versions {
                all = self.deploy_one(&place, version).await?;
            }
            Ok(all)
        };
        in_time(work).await
    }

    async fn pin(&self, pins: Vec<(Place, PinnedVersion)>) -> Result<Deployed, Error> {
        for (place, pinned) in pins {
            in_time(self.pin_one(&place, &pinned)).await?;
        }
        Ok(self.deployed())
    }

    async fn unresolved(
        &self,
        place: Place,
        version: ContainerVersion,
        message: String,
    ) -> Result<(), Error> {
        for known in self.objects(&place, &version)? {
            in_time(self.writer.tell(&known, &Outcome::Unresolved { message: &message })).await?;
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

    /// In front of an API server that takes every request and answers none.
    fn store(dir: &tempfile::TempDir) -> KubernetesStore {
        let silent =
            service_fn(|_: http::Request<Body>| pending::<Result<http::Response<Body>, Infallible>>());
        let object = json!({
            "apiVersion": "trackyard.dev/v1alpha1", "kind": "ContainerVersion",
            "metadata": {"name": "x", "uid": "1", "labels": {"trackyard.dev/made-by": "router"}},
            "spec": {"channel": "test_runners", "track": "ruby", "version": TAG}, "status": {},
        });
        let known = Version::read(&serde_json::from_value(object).unwrap()).unwrap();
        let yard = Yard { versions: Some(known.into_iter().collect()), ..Yard::default() };
        let path = dir.path().join("router.yml");
        std::fs::write(&path, "{}").unwrap();
        let live = LiveConfig::start(ConfigFile::open(&path, None).unwrap()).unwrap();
        let (_, yard) = tokio::sync::watch::channel(yard);
        KubernetesStore::new(Client::new(silent, "yard"), "yard", yard, Arc::new(live))
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_without_an_answer_ends() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place { channel: "test_runners".parse().unwrap(), track: "ruby".parse().unwrap() };
        let version: ContainerVersion = TAG.parse().unwrap();
        let told = store(&dir).unresolved(place.clone(), version.clone(), "it is not there".to_owned()).await;
        let gone = store(&dir).unload(place, version).await.map(drop);
        for done in [told, gone] {
            let error = format!("{:?}", done.unwrap_err());
            assert!(error.contains("the cluster took too long"), "{error}");
        }
    }
}
