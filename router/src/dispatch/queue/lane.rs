//! Lanes and their tracks. There is one lane for each channel, track and version, and one for the builds of a track. Each
//! exists while something needs it.

mod waiting;

use std::collections::{BTreeMap, BTreeSet};

use trackyard_protocol::channel::Channel;
use trackyard_protocol::limits::{Limits, SharedLimits};
use trackyard_protocol::request::Tooling;
use trackyard_protocol::version::PinnedVersion;

use super::sorted_queue::SortedQueue;
use crate::dispatch::ids::{IdMap, JobIndex, LaneId, SeededMap, Sequence, TrackId, WorkerId};

/// A version of a channel's track, or a track's builds.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) track: TrackId,
    /// `None` for builds, for which every builder of the track is ready.
    pub(crate) version: Option<PinnedVersion>,
    pub(crate) deployed: bool,
    /// Jobs in flight, waiting or running.
    pub(crate) jobs: usize,
    /// In the order of receipt, so that a retried job is ahead of those received after it.
    pub(crate) waiting: SortedQueue<JobIndex>,
    /// Connected workers that have the version ready.
    pub(crate) ready: BTreeSet<WorkerId>,
    /// Connected workers that failed to make the version ready.
    pub(crate) failed: BTreeSet<WorkerId>,
    /// True once workers were asked to prepare the version first.
    pub(crate) prioritized: bool,
    /// The limits of the last job, shared with the next one: most jobs have the same.
    limits: SharedLimits,
}

/// A channel's track.
#[derive(Debug)]
pub(crate) struct Track {
    pub(crate) tooling: Tooling,
    pub(crate) lanes: BTreeMap<PinnedVersion, LaneId>,
    /// The lane of its builds.
    pub(crate) builds: Option<LaneId>,
    /// The lanes in which jobs wait.
    pub(crate) waiting_lanes: BTreeSet<LaneId>,
    pub(crate) waiting: usize,
    pub(crate) bytes: usize,
    /// Its key in `Lanes::turns` while jobs wait.
    turn: u64,
    /// The number of workers that are scoped to it.
    scoped: usize,
}

/// All lanes and tracks.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    ids: SeededMap<Tooling, TrackId>,
    tracks: IdMap<TrackId, Track>,
    lanes: IdMap<LaneId, Lane>,
    /// Tracks with waiting jobs. The track with the smallest number is next.
    turns: BTreeMap<(Channel, u64), TrackId>,
    sequence: Sequence,
    waiting: usize,
    bytes: usize,
}

impl Lanes {
    pub(crate) fn track_id(&self, tooling: &Tooling) -> Option<TrackId> {
        self.ids.get(tooling).copied()
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

    pub(crate) fn find(&self, tooling: &Tooling, version: Option<&PinnedVersion>) -> Option<LaneId> {
        let track = self.track(self.track_id(tooling)?)?;
        version.map_or(track.builds, |version| track.lanes.get(version).copied())
    }

    pub(crate) fn tooling(&self, lane: LaneId) -> Option<&Tooling> {
        self.track(self.lane(lane)?.track).map(|track| &track.tooling)
    }

    pub(crate) fn len(&self) -> usize {
        self.lanes.len()
    }

    /// Returns the lane, created if it is new. The caller adds something to it, or calls
    /// [`remove_if_unused`](Self::remove_if_unused).
    pub(crate) fn get_or_create(&mut self, tooling: &Tooling, version: Option<&PinnedVersion>) -> LaneId {
        if let Some(lane) = self.find(tooling, version) {
            return lane;
        }
        let track = self.get_or_create_track(tooling);
        let id = LaneId(self.sequence.next());
        if let Some(entry) = self.tracks.get_mut(&track) {
            match version {
                Some(version) => _ = entry.lanes.insert(version.clone(), id),
                None => entry.builds = Some(id),
            }
        }
        self.lanes.insert(id, Lane::new(track, version.cloned()));
        id
    }

    /// Removes a lane that nothing needs, and its track with the last lane.
    pub(crate) fn remove_if_unused(&mut self, id: LaneId) {
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
        self.remove_track_if_unused(lane.track);
    }

    /// Counts a worker that is scoped to the track.
    pub(crate) fn add_scoped_worker(&mut self, tooling: &Tooling) -> TrackId {
        let id = self.get_or_create_track(tooling);
        if let Some(track) = self.tracks.get_mut(&id) {
            track.scoped += 1;
        }
        id
    }

    /// Uncounts a worker that was scoped to the track.
    pub(crate) fn remove_scoped_worker(&mut self, id: TrackId) {
        if let Some(track) = self.tracks.get_mut(&id) {
            track.scoped -= 1;
        }
        self.remove_track_if_unused(id);
    }

    fn get_or_create_track(&mut self, tooling: &Tooling) -> TrackId {
        if let Some(id) = self.track_id(tooling) {
            return id;
        }
        let id = TrackId(self.sequence.next());
        self.ids.insert(tooling.clone(), id);
        self.tracks.insert(id, Track::new(tooling.clone()));
        id
    }

    fn remove_track_if_unused(&mut self, id: TrackId) {
        if self.tracks.get(&id).is_some_and(Track::is_unused)
            && let Some(track) = self.tracks.remove(&id)
        {
            self.ids.remove(&track.tooling);
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
            prioritized: false,
            limits: SharedLimits::default(),
        }
    }

    /// Returns a job's limits, shared with the previous job if that had the same.
    pub(crate) fn share_limits(&mut self, limits: &Limits) -> SharedLimits {
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
    fn new(tooling: Tooling) -> Self {
        Self {
            tooling,
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
