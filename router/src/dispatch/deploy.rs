//! Versions come and go, and the other things that an administrator asks for.

use std::collections::{BTreeMap, BTreeSet};

use trackyard_protocol::reason::Reason;
use trackyard_protocol::request::Place;
use trackyard_protocol::version::PinnedVersion;
use trackyard_protocol::worker::{Desired, FromRouter, TrackVersion};

use super::number::{LaneId, WorkerId};
use super::turn::Turn;
use super::worker::About;
use super::{Deployment, Dispatch, Ending, Peer, Settings};

impl Dispatch {
    /// Takes over the deployed versions: jobs that wait for one that is gone are answered, workers are told.
    pub(crate) fn deploy(&mut self, deployment: Deployment, turn: &mut Turn<'_>) {
        let new = deployment.0;
        let old = self.deployed.take().unwrap_or_default();
        let lanes: Vec<LaneId> =
            pairs(&new).map(|(place, version)| self.lanes.enter(place, Some(version))).collect();
        let kept: BTreeSet<LaneId> = lanes.into_iter().collect();
        for lane in &kept {
            self.set_deployed(*lane, true);
        }
        let before = pairs(&old).filter_map(|(place, version)| self.lanes.find(place, Some(version)));
        let gone: Vec<LaneId> = before.filter(|lane| !kept.contains(lane)).collect();
        let places: BTreeSet<&Place> = new.keys().chain(old.keys()).collect();
        let changed: Vec<&Place> = places.into_iter().filter(|p| old.get(*p) != new.get(*p)).collect();
        let told = self.covering(&changed);
        self.deployed = Some(new);
        for lane in gone {
            self.undeploy(lane, turn);
        }
        self.tell_desired(&told, turn);
    }

    fn set_deployed(&mut self, lane: LaneId, deployed: bool) {
        if let Some(lane) = self.lanes.lane_mut(lane) {
            lane.deployed = deployed;
        }
    }

    fn undeploy(&mut self, lane: LaneId, turn: &mut Turn<'_>) {
        self.set_deployed(lane, false);
        let waiting = self.lanes.lane(lane).map(|lane| lane.waiting.clone()).unwrap_or_default();
        for no in waiting {
            let message = "the version was unloaded while the job waited";
            self.finish(no, Ending::new(Reason::NotDeployed, message), turn);
        }
        self.lanes.release(lane);
    }

    fn covering(&self, places: &[&Place]) -> Vec<(WorkerId, Peer)> {
        let covers = |about: &About| places.iter().any(|place| about.covers(place));
        self.workers
            .connected()
            .filter(|(_, w, _)| covers(&w.about))
            .map(|(id, _, peer)| (id, peer))
            .collect()
    }

    fn tell_desired(&self, workers: &[(WorkerId, Peer)], turn: &mut Turn<'_>) {
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

    /// New settings; workers are told what concerns them.
    pub(crate) fn set(&mut self, settings: Settings, turn: &mut Turn<'_>) {
        let old = std::mem::replace(&mut self.settings, settings);
        if !self.recovering && (&old.pools, &old.expected) != (&self.settings.pools, &self.settings.expected)
        {
            self.refuse_unserved(turn);
        }
        let new = &self.settings;
        let same = (&old.images, &old.inputs, old.heartbeat, old.silence)
            == (&new.images, &new.inputs, new.heartbeat, new.silence);
        if same {
            return;
        }
        for (id, _, peer) in self.workers.connected() {
            self.welcome(id, peer, turn);
        }
    }

    pub(crate) fn restart_workers(&mut self, turn: &mut Turn<'_>) {
        let all: Vec<_> = self.workers.connected().map(|(id, _, peer)| (id, peer)).collect();
        for (id, peer) in all {
            self.restart_worker(id, peer, turn);
        }
    }

    /// The router shuts down: what waits is refused, what runs may finish.
    pub(crate) fn drain(&mut self, turn: &mut Turn<'_>) {
        self.draining = true;
        let lanes: Vec<LaneId> =
            self.lanes.waiting_tracks().flat_map(|(_, track)| track.waiting_lanes.iter().copied()).collect();
        for lane in lanes {
            let waiting = self.lanes.lane(lane).map(|lane| lane.waiting.clone()).unwrap_or_default();
            for no in waiting {
                self.finish(no, Ending::new(Reason::RouterDraining, ""), turn);
            }
        }
    }
}

fn pairs(deployed: &BTreeMap<Place, Vec<PinnedVersion>>) -> impl Iterator<Item = (&Place, &PinnedVersion)> {
    deployed.iter().flat_map(|(place, versions)| versions.iter().map(move |version| (place, version)))
}

fn of_track(place: &Place, version: &PinnedVersion) -> TrackVersion {
    TrackVersion { track: place.track.clone(), version: version.clone() }
}
