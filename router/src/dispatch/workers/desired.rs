//! The versions that workers shall have ready.

use trackyard_protocol::request::Place;
use trackyard_protocol::version::PinnedVersion;
use trackyard_protocol::worker::{Desired, FromRouter, TrackVersion};

use super::About;
use crate::dispatch::action::Turn;
use crate::dispatch::event::pairs;
use crate::dispatch::ids::{LaneId, WorkerId};
use crate::dispatch::{Dispatch, Peer};

impl Dispatch {
    pub(crate) fn covering(&self, places: &[&Place]) -> Vec<(WorkerId, Peer)> {
        let covers = |about: &About| places.iter().any(|place| about.covers(place));
        self.workers
            .connected()
            .filter(|(_, w, _)| covers(&w.about))
            .map(|(id, _, peer)| (id, peer))
            .collect()
    }

    pub(crate) fn tell_desired(&self, workers: &[(WorkerId, Peer)], turn: &mut Turn<'_>) {
        for (id, peer) in workers {
            turn.send(*peer, FromRouter::Desired(Desired { versions: self.desired(*id) }));
        }
    }

    /// The versions that a worker shall have ready, those for which jobs wait first. While the deployed versions
    /// are not known, a worker keeps what it has.
    pub(crate) fn desired(&self, id: WorkerId) -> Vec<TrackVersion> {
        let Some(worker) = self.workers.get(id) else { return Vec::new() };
        let Some(deployed) = &self.deployed else { return self.ready_on(id) };
        let own = pairs(deployed).filter(|(place, _)| worker.about.covers(place));
        let waits = |place: &Place, version: &PinnedVersion| {
            let lane = self.lanes.find(place, Some(version)).and_then(|lane| self.lanes.lane(lane));
            lane.is_some_and(|lane| !lane.waiting.is_empty())
        };
        let (first, rest): (Vec<_>, Vec<_>) = own.partition(|(place, version)| waits(place, version));
        first.into_iter().chain(rest).map(|(place, version)| of_track(place, version)).collect()
    }

    pub(crate) fn ready_on(&self, id: WorkerId) -> Vec<TrackVersion> {
        let ready = self.workers.get(id).map(|worker| worker.ready.iter()).into_iter().flatten();
        ready.filter_map(|lane| self.track_version(*lane)).collect()
    }

    pub(crate) fn track_version(&self, lane: LaneId) -> Option<TrackVersion> {
        Some(of_track(self.lanes.place(lane)?, self.lanes.lane(lane)?.version.as_ref()?))
    }

    /// The first job that waits for a version that no worker has ready: workers prepare it before others.
    pub(crate) fn urge(&mut self, lane: LaneId, turn: &mut Turn<'_>) {
        let entry = self.lanes.lane_mut(lane);
        let Some(entry) = entry.filter(|lane| lane.ready.is_empty() && lane.deployed && !lane.urged) else {
            return;
        };
        entry.urged = true;
        let Some(place) = self.lanes.place(lane).cloned() else { return };
        let told = self.covering(&[&place]);
        self.tell_desired(&told, turn);
    }
}

fn of_track(place: &Place, version: &PinnedVersion) -> TrackVersion {
    TrackVersion { track: place.track.clone(), version: version.clone() }
}
