//! The jobs that wait in the lanes, and the order in which the tracks take turns.

use trackyard_protocol::channel::Channel;

use super::{Lane, Lanes, Track};
use crate::dispatch::ids::{IdMap, JobIndex, LaneId, TrackId};

impl Lanes {
    pub(crate) fn waiting(&self) -> usize {
        self.waiting
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds a waiting job.
    pub(crate) fn push(&mut self, lane: LaneId, job: JobIndex, bytes: usize) {
        let Some((entry, track)) = lane_and_track(&mut self.lanes, &mut self.tracks, lane) else { return };
        if !entry.waiting.insert(job) {
            return;
        }
        track.waiting_lanes.insert(lane);
        if track.waiting == 0 {
            track.turn = self.sequence.next();
            self.turns.insert((track.tooling.channel, track.turn), entry.track);
        }
        track.waiting += 1;
        track.bytes += bytes;
        self.waiting += 1;
        self.bytes += bytes;
    }

    /// Removes a waiting job.
    pub(crate) fn remove(&mut self, lane: LaneId, job: JobIndex, bytes: usize) {
        let Some((entry, track)) = lane_and_track(&mut self.lanes, &mut self.tracks, lane) else { return };
        if !entry.waiting.remove(&job) {
            return;
        }
        if entry.waiting.is_empty() {
            track.waiting_lanes.remove(&lane);
            entry.prioritized = false;
        }
        track.waiting -= 1;
        track.bytes -= bytes;
        self.waiting -= 1;
        self.bytes -= bytes;
        if track.waiting == 0 {
            self.turns.remove(&(track.tooling.channel, track.turn));
        }
    }

    /// Moves a track behind the others, because it had its turn.
    pub(crate) fn move_to_back(&mut self, id: TrackId) {
        let Some(track) = self.tracks.get_mut(&id).filter(|track| track.waiting > 0) else { return };
        self.turns.remove(&(track.tooling.channel, track.turn));
        track.turn = self.sequence.next();
        self.turns.insert((track.tooling.channel, track.turn), id);
    }

    /// Iterates over the channel's tracks with waiting jobs; the next in turn is first.
    pub(crate) fn tracks_in_turn(&self, channel: Channel) -> impl Iterator<Item = TrackId> + '_ {
        self.turns.range((channel, 0)..=(channel, u64::MAX)).map(|(_, id)| *id)
    }

    /// Iterates over all tracks with waiting jobs.
    pub(crate) fn waiting_tracks(&self) -> impl Iterator<Item = (TrackId, &Track)> + '_ {
        self.turns.values().filter_map(|id| Some((*id, self.tracks.get(id)?)))
    }

    /// Returns all lanes with waiting jobs.
    pub(crate) fn waiting_lanes(&self) -> Vec<LaneId> {
        self.waiting_tracks().flat_map(|(_, track)| track.waiting_lanes.iter().copied()).collect()
    }

    /// Returns the job of a track that waits longest among the lanes that `is_usable` accepts.
    pub(crate) fn oldest(
        &self,
        track: TrackId,
        is_usable: impl Fn(LaneId) -> bool,
    ) -> Option<(LaneId, JobIndex)> {
        let lanes = self.track(track)?.waiting_lanes.iter().filter(|lane| is_usable(**lane));
        let first = |lane: &LaneId| Some((*lane, *self.lane(*lane)?.waiting.first()?));
        lanes.filter_map(first).min_by_key(|(_, job)| *job)
    }

    /// Returns the job of a track that was received last.
    pub(crate) fn newest(&self, track: TrackId) -> Option<JobIndex> {
        let lanes = self.track(track)?.waiting_lanes.iter();
        lanes.filter_map(|lane| self.lane(*lane)?.waiting.last().copied()).max()
    }
}

fn lane_and_track<'a>(
    lanes: &'a mut IdMap<LaneId, Lane>,
    tracks: &'a mut IdMap<TrackId, Track>,
    id: LaneId,
) -> Option<(&'a mut Lane, &'a mut Track)> {
    let lane = lanes.get_mut(&id)?;
    let track = tracks.get_mut(&lane.track)?;
    Some((lane, track))
}
