//! Workers with free slots, most free slots first and least recently used next: per track those scoped to it, per
//! channel the generic ones.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use trackyard_protocol::channel::Channel;

use crate::dispatch::ids::{Map, TrackId, WorkerId};

/// A worker's place among those with free slots; the smallest is the first choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Free {
    free: Reverse<u32>,
    used: u64,
    pub(crate) worker: WorkerId,
}

impl Free {
    pub(crate) fn new(free: u32, used: u64, worker: WorkerId) -> Self {
        Self { free: Reverse(free), used, worker }
    }
}

/// The pools, and how many workers serve what.
#[derive(Debug, Default)]
pub(crate) struct Pools {
    scoped: Map<TrackId, BTreeSet<Free>>,
    generic: BTreeMap<Channel, BTreeSet<Free>>,
    serving_scoped: Map<TrackId, usize>,
    serving_generic: BTreeMap<Channel, usize>,
}

impl Pools {
    /// Workers with free slots for a track: the scoped ones, then the generic ones.
    pub(crate) fn free(&self, channel: Channel, track: TrackId) -> impl Iterator<Item = Free> + '_ {
        let scoped = self.scoped.get(&track).into_iter().flatten();
        scoped.chain(self.generic.get(&channel).into_iter().flatten()).copied()
    }

    /// True if a connected worker, free or busy, takes jobs of the track.
    pub(crate) fn is_served(&self, channel: Channel, track: Option<TrackId>) -> bool {
        self.serving_generic.contains_key(&channel)
            || track.is_some_and(|track| self.serving_scoped.contains_key(&track))
    }

    pub(crate) fn move_free(
        &mut self,
        tracks: &[TrackId],
        generic: Option<Channel>,
        from: Option<Free>,
        to: Option<Free>,
    ) {
        for track in tracks {
            move_in(self.scoped.entry(*track).or_default(), from, to);
            if self.scoped.get(track).is_some_and(BTreeSet::is_empty) {
                self.scoped.remove(track);
            }
        }
        if let Some(channel) = generic {
            move_in(self.generic.entry(channel).or_default(), from, to);
        }
    }

    pub(crate) fn count_serving(&mut self, tracks: &[TrackId], generic: Option<Channel>, serving: bool) {
        for track in tracks {
            let left = count(self.serving_scoped.entry(*track).or_default(), serving);
            if left == 0 {
                self.serving_scoped.remove(track);
            }
        }
        if let Some(channel) = generic
            && count(self.serving_generic.entry(channel).or_default(), serving) == 0
        {
            self.serving_generic.remove(&channel);
        }
    }
}

fn move_in(pool: &mut BTreeSet<Free>, from: Option<Free>, to: Option<Free>) {
    if let Some(from) = from {
        pool.remove(&from);
    }
    pool.extend(to);
}

fn count(counter: &mut usize, up: bool) -> usize {
    *counter = if up { *counter + 1 } else { counter.saturating_sub(1) };
    *counter
}
