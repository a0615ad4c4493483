//! Converts between the deployed versions and what the dispatcher knows of them.

use trackyard_protocol::request::Tooling;

use crate::deployed::Deployed;
use crate::dispatch::{DeployedVersions, Snapshot};

/// Returns what the dispatcher may give to workers: the versions that have a digest.
pub(super) fn deployment(deployed: &Deployed) -> DeployedVersions {
    let tracks = deployed.iter().map(|(track, versions)| {
        let resolved = versions.iter().filter(|pinned| pinned.digest.is_some()).cloned().collect();
        (track.to_tooling(), resolved)
    });
    DeployedVersions(tracks.collect())
}

/// Returns the versions that the connected workers have ready.
pub(super) fn deployed_by_workers(snapshot: &Snapshot) -> Deployed {
    let mut deployed = Deployed::default();
    for worker in &snapshot.workers {
        for ready in &worker.ready {
            let tooling = Tooling { channel: worker.channel, track: ready.track.clone() };
            deployed.deploy(&tooling, ready.version.clone());
        }
    }
    deployed
}
