//! What the router knows about the worker's versions, and what must still be reported.

use std::collections::{BTreeMap, BTreeSet};

use trackyard_protocol::worker::{FromWorker, TrackVersion, VersionFailed};

/// The versions that are ready or failed, and those that were reported.
#[derive(Debug, Default)]
pub(super) struct VersionReports {
    ready: BTreeSet<TrackVersion>,
    failed: BTreeMap<TrackVersion, VersionFailed>,
    reported_ready: BTreeSet<TrackVersion>,
    reported_failed: BTreeMap<TrackVersion, VersionFailed>,
}

impl VersionReports {
    pub(super) fn set_ready(&mut self, version: TrackVersion) {
        self.failed.remove(&version);
        self.ready.insert(version);
    }

    pub(super) fn set_failed(&mut self, failed: VersionFailed) {
        self.ready.remove(&failed.version);
        self.failed.insert(failed.version.clone(), failed);
    }

    pub(super) fn remove(&mut self, version: &TrackVersion) {
        self.ready.remove(version);
        self.failed.remove(version);
    }

    pub(super) fn is_ready(&self, version: &TrackVersion) -> bool {
        self.ready.contains(version)
    }

    /// Marks a ready version to be reported again, because the router may take it for unready.
    pub(super) fn report_again(&mut self, version: &TrackVersion) {
        self.reported_ready.remove(version);
    }

    /// Returns the ready versions for a `Hello`. Failures are reported again after it.
    pub(super) fn report_all(&mut self) -> Vec<TrackVersion> {
        self.reported_ready = self.ready.clone();
        self.reported_failed.clear();
        self.ready.iter().cloned().collect()
    }

    /// Returns the changes since the last report, and marks them as reported.
    pub(super) fn take_unreported(&mut self) -> Vec<FromWorker> {
        let gone = self.reported_ready.difference(&self.ready).cloned().map(FromWorker::Unready);
        let new = self.ready.difference(&self.reported_ready).cloned().map(FromWorker::Ready);
        let failed = self.failed.iter().filter(|(version, f)| self.reported_failed.get(version) != Some(f));
        let out = gone.chain(new).chain(failed.map(|(_, f)| FromWorker::Failed(f.clone().into()))).collect();
        self.reported_ready = self.ready.clone();
        self.reported_failed = self.failed.clone();
        out
    }
}
