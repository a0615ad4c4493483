//! Lanes (one per channel, track and version; one per track for builds) and their tracks: each is there while something
//! needs it.

mod waiting;

use std::collections::{BTreeMap, BTreeSet};

use trackyard_protocol::channel::Channel;
use trackyard_protocol::limits::{Limits, SharedLimits};
use trackyard_protocol::request::Place;
use trackyard_protocol::version::PinnedVersion;

use super::sorted_queue::SortedQueue;
use crate::dispatch::ids::{JobNo, LaneId, Map, Numbers, SeededMap, TrackId, WorkerId};

/// A version of a channel's track, or a track's builds.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) track: TrackId,
    /// Absent for builds, for which every builder of the track is ready.
    pub(crate) version: Option<PinnedVersion>,
    pub(crate) deployed: bool,
    /// Jobs in flight, waiting or running.
    pub(crate) jobs: usize,
    /// In order of receipt, so that a job that comes back is ahead of those received after it.
    pub(crate) waiting: SortedQueue<JobNo>,
    /// Connected workers that have it ready.
    pub(crate) ready: BTreeSet<WorkerId>,
    /// Connected workers that could not make it ready.
    pub(crate) failed: BTreeSet<WorkerId>,
    /// True once workers were told that jobs wait for it.
    pub(crate) urged: bool,
    /// Those of the last job; most jobs have the same.
    limits: SharedLimits,
}

/// A channel's track.
#[derive(Debug)]
pub(crate) struct Track {
    pub(crate) place: Place,
    pub(crate) lanes: BTreeMap<PinnedVersion, LaneId>,
    /// The lane of its builds.
    pub(crate) builds: Option<LaneId>,
    /// The lanes in which jobs wait.
    pub(crate) waiting_lanes: BTreeSet<LaneId>,
    pub(crate) waiting: usize,
    pub(crate) bytes: usize,
    turn: u64,
    /// Workers scoped to it.
    scoped: usize,
}

/// All lanes and tracks.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    ids: SeededMap<Place, TrackId>,
    tracks: Map<TrackId, Track>,
    lanes: Map<LaneId, Lane>,
    /// Tracks with waiting jobs; the smallest number is next.
    turns: BTreeMap<(Channel, u64), TrackId>,
    numbers: Numbers,
    waiting: usize,
    bytes: usize,
}

impl Lanes {
    pub(crate) fn track_id(&self, place: &Place) -> Option<TrackId> {
        self.ids.get(place).copied()
    }

    pub(crate) fn track(&self, id: TrackId) -> Option<&Track> {
        self.tracks.get(&id)
    }

    pub(crate) fn lane(&self, id: LaneId) -> Option<&Lane> {
        self.lanes.get(&id)
    }

    pub(crate) fn lane_mut(&mut self, id: LaneId) -> Option<&mut Lane> {
        self.lanes.get_mut(&id)
    }

    pub(crate) fn find(&self, place: &Place, version: Option<&PinnedVersion>) -> Option<LaneId> {
        let track = self.track(self.track_id(place)?)?;
        version.map_or(track.builds, |version| track.lanes.get(version).copied())
    }

    pub(crate) fn place(&self, lane: LaneId) -> Option<&Place> {
        self.track(self.lane(lane)?.track).map(|track| &track.place)
    }

    pub(crate) fn len(&self) -> usize {
        self.lanes.len()
    }

    /// The lane, made if it is new. The caller puts something into it, or calls [`release`](Self::release).
    pub(crate) fn enter(&mut self, place: &Place, version: Option<&PinnedVersion>) -> LaneId {
        if let Some(lane) = self.find(place, version) {
            return lane;
        }
        let track = self.enter_track(place);
        let id = LaneId(self.numbers.next());
        if let Some(entry) = self.tracks.get_mut(&track) {
            match version {
                Some(version) => _ = entry.lanes.insert(version.clone(), id),
                None => entry.builds = Some(id),
            }
        }
        self.lanes.insert(id, Lane::new(track, version.cloned()));
        id
    }

    /// Forgets a lane that nothing needs, and its track with the last of them.
    pub(crate) fn release(&mut self, id: LaneId) {
        if self.lanes.get(&id).is_none_or(Lane::is_needed) {
            return;
        }
        let Some(lane) = self.lanes.remove(&id) else { return };
        if let Some(track) = self.tracks.get_mut(&lane.track) {
            match &lane.version {
                Some(version) => _ = track.lanes.remove(version),
                None => track.builds = None,
            }
        }
        self.release_track(lane.track);
    }

    /// A worker is scoped to the track from now on.
    pub(crate) fn scope(&mut self, place: &Place) -> TrackId {
        let id = self.enter_track(place);
        if let Some(track) = self.tracks.get_mut(&id) {
            track.scoped += 1;
        }
        id
    }

    /// A worker is no longer scoped to the track.
    pub(crate) fn unscope(&mut self, id: TrackId) {
        if let Some(track) = self.tracks.get_mut(&id) {
            track.scoped -= 1;
        }
        self.release_track(id);
    }

    fn enter_track(&mut self, place: &Place) -> TrackId {
        if let Some(id) = self.track_id(place) {
            return id;
        }
        let id = TrackId(self.numbers.next());
        self.ids.insert(place.clone(), id);
        self.tracks.insert(id, Track::new(place.clone()));
        id
    }

    fn release_track(&mut self, id: TrackId) {
        if self.tracks.get(&id).is_some_and(Track::is_unused)
            && let Some(track) = self.tracks.remove(&id)
        {
            self.ids.remove(&track.place);
        }
    }
}

impl Lane {
    fn new(track: TrackId, version: Option<PinnedVersion>) -> Self {
        Self {
            track,
            version,
            deployed: false,
            jobs: 0,
            waiting: SortedQueue::default(),
            ready: BTreeSet::new(),
            failed: BTreeSet::new(),
            urged: false,
            limits: SharedLimits::default(),
        }
    }

    /// A job's limits, shared with the job before if that had the same.
    pub(crate) fn share(&mut self, limits: &Limits) -> SharedLimits {
        if *self.limits != *limits {
            self.limits = limits.clone().into();
        }
        self.limits.clone()
    }

    fn is_needed(&self) -> bool {
        self.deployed || self.jobs > 0 || !self.ready.is_empty() || !self.failed.is_empty()
    }
}

impl Track {
    fn new(place: Place) -> Self {
        Self {
            place,
            lanes: BTreeMap::new(),
            builds: None,
            waiting_lanes: BTreeSet::new(),
            waiting: 0,
            bytes: 0,
            turn: 0,
            scoped: 0,
        }
    }

    fn is_unused(&self) -> bool {
        self.lanes.is_empty() && self.builds.is_none() && self.scoped == 0
    }
}
