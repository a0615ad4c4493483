//! The jobs that wait in the lanes, and the tracks' turns.

use trackyard_protocol::channel::Channel;

use super::{Lane, Lanes, Track};
use crate::dispatch::ids::{JobNo, LaneId, Map, TrackId};

impl Lanes {
    pub(crate) fn waiting(&self) -> usize {
        self.waiting
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Lets a job wait.
    pub(crate) fn push(&mut self, lane: LaneId, job: JobNo, bytes: usize) {
        let Some((id, track)) = entry(&mut self.lanes, &mut self.tracks, lane) else { return };
        if !id.waiting.insert(job) {
            return;
        }
        track.waiting_lanes.insert(lane);
        if track.waiting == 0 {
            track.turn = self.numbers.next();
            self.turns.insert((track.place.channel, track.turn), id.track);
        }
        track.waiting += 1;
        track.bytes += bytes;
        self.waiting += 1;
        self.bytes += bytes;
    }

    /// Takes a waiting job out.
    pub(crate) fn take(&mut self, lane: LaneId, job: JobNo, bytes: usize) {
        let Some((id, track)) = entry(&mut self.lanes, &mut self.tracks, lane) else { return };
        if !id.waiting.remove(&job) {
            return;
        }
        if id.waiting.is_empty() {
            track.waiting_lanes.remove(&lane);
            id.urged = false;
        }
        track.waiting -= 1;
        track.bytes -= bytes;
        self.waiting -= 1;
        self.bytes -= bytes;
        if track.waiting == 0 {
            self.turns.remove(&(track.place.channel, track.turn));
        }
    }

    /// The track had its turn: it goes behind the others.
    pub(crate) fn pass_turn(&mut self, id: TrackId) {
        let Some(track) = self.tracks.get_mut(&id).filter(|track| track.waiting > 0) else { return };
        self.turns.remove(&(track.place.channel, track.turn));
        track.turn = self.numbers.next();
        self.turns.insert((track.place.channel, track.turn), id);
    }

    /// The channel's tracks with waiting jobs, in turn.
    pub(crate) fn turns(&self, channel: Channel) -> impl Iterator<Item = TrackId> + '_ {
        self.turns.range((channel, 0)..=(channel, u64::MAX)).map(|(_, id)| *id)
    }

    /// All tracks with waiting jobs.
    pub(crate) fn waiting_tracks(&self) -> impl Iterator<Item = (TrackId, &Track)> + '_ {
        self.turns.values().filter_map(|id| Some((*id, self.tracks.get(id)?)))
    }

    /// All lanes with waiting jobs.
    pub(crate) fn waiting_lanes(&self) -> Vec<LaneId> {
        self.waiting_tracks().flat_map(|(_, track)| track.waiting_lanes.iter().copied()).collect()
    }

    /// The job of a track that waits longest among the lanes that `usable` accepts.
    pub(crate) fn oldest(&self, track: TrackId, usable: impl Fn(LaneId) -> bool) -> Option<(LaneId, JobNo)> {
        let lanes = self.track(track)?.waiting_lanes.iter().filter(|lane| usable(**lane));
        let first = |lane: &LaneId| Some((*lane, *self.lane(*lane)?.waiting.first()?));
        lanes.filter_map(first).min_by_key(|(_, job)| *job)
    }

    /// The job of a track that was received last.
    pub(crate) fn newest(&self, track: TrackId) -> Option<JobNo> {
        let lanes = self.track(track)?.waiting_lanes.iter();
        lanes.filter_map(|lane| self.lane(*lane)?.waiting.last().copied()).max()
    }
}

fn entry<'a>(
    lanes: &'a mut Map<LaneId, Lane>,
    tracks: &'a mut Map<TrackId, Track>,
    id: LaneId,
) -> Option<(&'a mut Lane, &'a mut Track)> {
    let lane = lanes.get_mut(&id)?;
    let track = tracks.get_mut(&lane.track)?;
    Some((lane, track))
}
