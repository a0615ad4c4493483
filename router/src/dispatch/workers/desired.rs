//! The versions that workers should have ready.

use trackyard_protocol::request::Tooling;
use trackyard_protocol::version::PinnedVersion;
use trackyard_protocol::worker::{Desired, FromRouter, TrackVersion};

use crate::dispatch::action::Effects;
use crate::dispatch::ids::{LaneId, WorkerId};
use crate::dispatch::{Dispatch, Peer};

impl Dispatch {
    /// Returns the connected workers that serve one of these toolings.
    pub(crate) fn workers_covering(&self, toolings: &[&Tooling]) -> Vec<(WorkerId, Peer)> {
        self.workers
            .connected()
            .filter(|(_, worker, _)| toolings.iter().any(|tooling| worker.info.covers(tooling)))
            .map(|(id, _, peer)| (id, peer))
            .collect()
    }

    /// Sends workers the versions that they should have ready.
    pub(crate) fn send_desired(&self, workers: &[(WorkerId, Peer)], effects: &mut Effects<'_>) {
        for (id, peer) in workers {
            effects.send(*peer, FromRouter::Desired(Desired { versions: self.desired(*id) }));
        }
    }

    /// Returns the versions that a worker should have ready, those for which jobs wait first. While the deployed versions
    /// are unknown, a worker keeps what it has.
    pub(crate) fn desired(&self, id: WorkerId) -> Vec<TrackVersion> {
        let Some(worker) = self.workers.get(id) else { return Vec::new() };
        let Some(deployed) = &self.deployed else { return self.ready_on(id) };
        let own = deployed.iter().filter(|(tooling, _)| worker.info.covers(tooling));
        let (first, rest): (Vec<_>, Vec<_>) =
            own.partition(|(tooling, version)| self.is_awaited(tooling, version));
        first.into_iter().chain(rest).map(|(tooling, version)| of_track(tooling, version)).collect()
    }

    fn is_awaited(&self, tooling: &Tooling, version: &PinnedVersion) -> bool {
        let lane = self.lanes.find(tooling, Some(version)).and_then(|lane| self.lanes.lane(lane));
        lane.is_some_and(|lane| !lane.waiting.is_empty())
    }

    /// Returns the versions that a worker has ready.
    pub(crate) fn ready_on(&self, id: WorkerId) -> Vec<TrackVersion> {
        let ready = self.workers.get(id).map(|worker| worker.ready.iter()).into_iter().flatten();
        ready.filter_map(|lane| self.track_version(*lane)).collect()
    }

    /// Returns the track and version of a lane; `None` for builds.
    pub(crate) fn track_version(&self, lane: LaneId) -> Option<TrackVersion> {
        Some(of_track(self.lanes.tooling(lane)?, self.lanes.lane(lane)?.version.as_ref()?))
    }

    /// Asks workers to prepare a lane's version first, when the first job waits for it and no worker has it ready.
    pub(crate) fn prioritize(&mut self, lane: LaneId, effects: &mut Effects<'_>) {
        let entry = self.lanes.lane_mut(lane);
        let Some(entry) = entry.filter(|lane| lane.ready.is_empty() && lane.deployed && !lane.prioritized)
        else {
            return;
        };
        entry.prioritized = true;
        let Some(tooling) = self.lanes.tooling(lane).cloned() else { return };
        let affected = self.workers_covering(&[&tooling]);
        self.send_desired(&affected, effects);
    }
}

fn of_track(tooling: &Tooling, version: &PinnedVersion) -> TrackVersion {
    TrackVersion { track: tooling.track.clone(), version: version.clone() }
}
