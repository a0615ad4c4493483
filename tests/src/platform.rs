//! All of Trackyard in a cluster, as a user installs it: charts, images, a registry, S3, and a client's pod.

mod client;
mod images;
mod install;
mod jobs;
mod objects;
mod release;

use tempfile::TempDir;

use crate::cluster::Cluster;
use crate::registry::Registry;
use crate::s3::S3;

pub use client::PendingAnswers;
pub use images::images;
pub use install::install_crds;
pub use objects::PoolSpec;
pub use release::Release;

/// The namespace and name of the release.
pub const RELEASE: &str = "trackyard";
/// The worker namespace, unless the release is an earlier one.
pub const WORKER_NAMESPACE: &str = "trackyard-workers";
/// The bucket of submissions.
pub const BUCKET: &str = "submissions";
/// The track whose test runner runs the submission's `do.sh`.
pub const SHELL: &str = "shell";

/// A cluster with Trackyard in it.
pub struct Platform {
    /// The cluster.
    pub cluster: Cluster,
    /// The registry of the tooling images.
    pub registry: Registry,
    /// The bucket of the submissions.
    pub s3: S3,
    /// The namespace of pools and versions.
    pub worker_namespace: &'static str,
    dir: TempDir,
}

impl Platform {
    /// Starts a cluster, installs both charts, and waits until router and operator are ready. The registry has the
    /// examples' images, and one for the track [`SHELL`].
    ///
    /// # Panics
    /// When a part does not become ready.
    #[must_use]
    pub fn start() -> Self {
        Self::on(Cluster::with_images(&images()), &Release::this())
    }

    /// Starts another release than the tested one, in a local cluster.
    ///
    /// # Panics
    /// When a part does not become ready, or an external cluster is configured.
    #[must_use]
    pub fn start_with(release: &Release) -> Self {
        // The tested release's images are for an upgrade.
        let other = if release.is_frozen() { release.images() } else { Vec::new() };
        Self::on(Cluster::local("asks from the node", &[other, images()].concat()), release)
    }

    /// Starts in a local cluster, for a test that does to it what `purpose` says, such as "stops parts of its cluster".
    ///
    /// # Panics
    /// When a part does not become ready, or an external cluster is configured.
    #[must_use]
    pub fn on_local_cluster(purpose: &str) -> Self {
        Self::on(Cluster::local(purpose, &images()), &Release::this())
    }

    fn on(cluster: Cluster, release: &Release) -> Self {
        let mut platform = Self::serve(cluster);
        platform.worker_namespace = release.worker_namespace;
        platform.install(release);
        platform.start_client();
        platform
    }

    /// Starts only the servers that a cluster needs: the registry with the tooling images, and S3.
    ///
    /// # Panics
    /// When a server does not start.
    #[must_use]
    pub fn serve(cluster: Cluster) -> Self {
        let platform = Self {
            registry: Registry::start_in(&cluster),
            s3: S3::start_on(cluster.listener(9000), BUCKET),
            dir: TempDir::new().expect("a directory"),
            worker_namespace: WORKER_NAMESPACE,
            cluster,
        };
        platform.push_images();
        platform
    }
}
