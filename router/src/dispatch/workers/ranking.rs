//! The order in which workers get jobs: most free slots first, then least recently used. Scoped workers are ranked for
//! each of their tracks, generic ones for their channel.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use trackyard_protocol::channel::Channel;

use crate::dispatch::ids::{IdMap, TrackId, WorkerId};

/// A worker's rank among those with free slots; the smallest is the first choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    free: Reverse<u32>,
    last_used: u64,
    pub(crate) worker: WorkerId,
}

impl Rank {
    pub(crate) fn new(free: u32, last_used: u64, worker: WorkerId) -> Self {
        Self { free: Reverse(free), last_used, worker }
    }
}

/// The ranked workers, and the number of workers that serve each track or channel.
#[derive(Debug, Default)]
pub(crate) struct Ranking {
    scoped: IdMap<TrackId, BTreeSet<Rank>>,
    generic: BTreeMap<Channel, BTreeSet<Rank>>,
    serving_scoped: IdMap<TrackId, usize>,
    serving_generic: BTreeMap<Channel, usize>,
}

impl Ranking {
    /// Iterates over the workers with free slots for a track: the scoped ones, then the generic ones.
    pub(crate) fn candidates(&self, channel: Channel, track: TrackId) -> impl Iterator<Item = Rank> + '_ {
        let scoped = self.scoped.get(&track).into_iter().flatten();
        scoped.chain(self.generic.get(&channel).into_iter().flatten()).copied()
    }

    /// Returns true if a connected worker, free or busy, serves the track.
    pub(crate) fn is_served(&self, channel: Channel, track: Option<TrackId>) -> bool {
        self.serving_generic.contains_key(&channel)
            || track.is_some_and(|track| self.serving_scoped.contains_key(&track))
    }

    /// Replaces a worker's rank in the sets of its tracks or its channel.
    pub(crate) fn update(
        &mut self,
        tracks: &[TrackId],
        generic: Option<Channel>,
        from: Option<Rank>,
        to: Option<Rank>,
    ) {
        for track in tracks {
            replace(self.scoped.entry(*track).or_default(), from, to);
            if self.scoped.get(track).is_some_and(BTreeSet::is_empty) {
                self.scoped.remove(track);
            }
        }
        if let Some(channel) = generic {
            replace(self.generic.entry(channel).or_default(), from, to);
        }
    }

    /// Counts a worker that starts or stops serving its tracks or its channel.
    pub(crate) fn count_serving(&mut self, tracks: &[TrackId], generic: Option<Channel>, is_serving: bool) {
        for track in tracks {
            let left = count(self.serving_scoped.entry(*track).or_default(), is_serving);
            if left == 0 {
                self.serving_scoped.remove(track);
            }
        }
        if let Some(channel) = generic
            && count(self.serving_generic.entry(channel).or_default(), is_serving) == 0
        {
            self.serving_generic.remove(&channel);
        }
    }
}

fn replace(ranks: &mut BTreeSet<Rank>, from: Option<Rank>, to: Option<Rank>) {
    if let Some(from) = from {
        ranks.remove(&from);
    }
    ranks.extend(to);
}

fn count(counter: &mut usize, up: bool) -> usize {
    *counter = if up { *counter + 1 } else { counter.saturating_sub(1) };
    *counter
}
