//! What the router was told about versions, and what it must still be told.

use std::collections::{BTreeMap, BTreeSet};

use trackyard_protocol::worker::{FromWorker, TrackVersion, VersionFailed};

/// The versions that this worker can run, those that it could not prepare, and what of it is told.
#[derive(Debug, Default)]
pub(super) struct Standings {
    ready: BTreeSet<TrackVersion>,
    failed: BTreeMap<TrackVersion, VersionFailed>,
    told_ready: BTreeSet<TrackVersion>,
    told_failed: BTreeMap<TrackVersion, VersionFailed>,
}

impl Standings {
    pub(super) fn ready(&mut self, version: TrackVersion) {
        self.failed.remove(&version);
        self.ready.insert(version);
    }

    pub(super) fn failed(&mut self, failed: VersionFailed) {
        self.ready.remove(&failed.version);
        self.failed.insert(failed.version.clone(), failed);
    }

    pub(super) fn gone(&mut self, version: &TrackVersion) {
        self.ready.remove(version);
        self.failed.remove(version);
    }

    pub(super) fn is_ready(&self, version: &TrackVersion) -> bool {
        self.ready.contains(version)
    }

    /// A router may have forgotten that this version is ready.
    pub(super) fn tell_again(&mut self, version: &TrackVersion) {
        self.told_ready.remove(version);
    }

    /// For a `Hello`: the ready versions. Failures are told again after it.
    pub(super) fn tell_anew(&mut self) -> Vec<TrackVersion> {
        self.told_ready = self.ready.clone();
        self.told_failed.clear();
        self.ready.iter().cloned().collect()
    }

    /// What changed since it was last told; it counts as told from now on.
    pub(super) fn untold(&mut self) -> Vec<FromWorker> {
        let gone = self.told_ready.difference(&self.ready).cloned().map(FromWorker::Unready);
        let new = self.ready.difference(&self.told_ready).cloned().map(FromWorker::Ready);
        let failed = self.failed.iter().filter(|(version, f)| self.told_failed.get(version) != Some(f));
        let out = gone.chain(new).chain(failed.map(|(_, f)| FromWorker::Failed(f.clone().into()))).collect();
        self.told_ready = self.ready.clone();
        self.told_failed = self.failed.clone();
        out
    }
}
