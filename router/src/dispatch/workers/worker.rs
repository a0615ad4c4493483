//! The workers: which are connected, what each can run, and which attempts are in flight on it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use trackyard_protocol::channel::{Channel, Topics};
use trackyard_protocol::name::{PoolName, WorkerName};
use trackyard_protocol::request::Tooling;
use trackyard_protocol::token::{Epoch, Incarnation, Token};
use trackyard_protocol::worker::VersionFailed;

use super::bounds::{MAX_MESSAGE_CHARS, MAX_REASON_CHARS};
use super::ranking::{Rank, Ranking};
use crate::dispatch::ids::{IdMap, LaneId, Sequence, TrackId, WorkerId};
use crate::dispatch::queue::SortedQueue;
use crate::dispatch::{Peer, Time};

/// One incarnation of a worker.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) info: WorkerInfo,
    /// `None` while it is lost and may come back with its jobs.
    pub(crate) peer: Option<Peer>,
    /// The tracks to which it is scoped; empty for a generic worker.
    pub(crate) tracks: Vec<TrackId>,
    pub(crate) ready: BTreeSet<LaneId>,
    pub(crate) failed: BTreeMap<LaneId, VersionFailure>,
    /// The attempts that the worker has not closed.
    pub(crate) in_flight: SortedQueue<Token>,
    /// The number of those that fill a slot.
    pub(crate) busy: u32,
    /// True if it accepts no more jobs.
    pub(crate) draining: bool,
    /// True if it drains to bootstrap again, and so will be back soon.
    pub(crate) restarting: bool,
    pub(crate) last_heard: Time,
    /// The moving average of its jobs' durations; zero if none has ended yet.
    pub(crate) mean_run: Duration,
    /// When it last got a job, counted in dispatches.
    pub(crate) last_used: u64,
    /// Its rank among the workers with free slots.
    rank: Option<Rank>,
    is_serving: bool,
}

/// What a worker reports about itself.
#[derive(Debug, Clone)]
pub(crate) struct WorkerInfo {
    pub(crate) name: WorkerName,
    pub(crate) incarnation: Incarnation,
    pub(crate) pool: Option<PoolName>,
    pub(crate) channel: Channel,
    pub(crate) topics: Topics,
    pub(crate) slots: u32,
    pub(crate) bootstrap: Option<Epoch>,
    pub(crate) release: String,
    /// The version of the protocol that it speaks.
    pub(crate) protocol: u32,
}

impl WorkerInfo {
    /// Returns true if the worker may run jobs of this tooling.
    pub(crate) fn covers(&self, tooling: &Tooling) -> bool {
        tooling.is_covered_by(self.channel, &self.topics)
    }
}

/// Why a worker does not have a version ready. Many are kept, so their texts are short.
#[derive(Debug, Clone)]
pub(crate) struct VersionFailure {
    pub(crate) reason: String,
    pub(crate) status_code: u16,
    pub(crate) message: String,
    pub(crate) retrying: bool,
}

impl VersionFailure {
    pub(crate) fn new(failed: &VersionFailed) -> Self {
        let truncate = |text: &str, chars: usize| text.chars().take(chars).collect();
        Self {
            reason: truncate(&failed.reason, MAX_REASON_CHARS),
            status_code: failed.status_code,
            message: truncate(&failed.message, MAX_MESSAGE_CHARS),
            retrying: failed.retrying,
        }
    }
}

/// A worker that left to bootstrap again. Jobs wait for it.
#[derive(Debug)]
pub(crate) struct RestartingWorker {
    pub(crate) until: Time,
    pub(crate) channel: Channel,
    pub(crate) topics: Topics,
}

impl Worker {
    /// Returns true if the worker runs jobs of the track, scoped or generic.
    pub(crate) fn serves(&self, channel: Channel, track: TrackId) -> bool {
        self.info.channel == channel && (self.info.topics.is_generic() || self.tracks.contains(&track))
    }

    /// Returns true if the worker is scoped to the track. Such workers come before generic ones.
    pub(crate) fn is_scoped_to(&self, track: TrackId) -> bool {
        self.tracks.contains(&track)
    }

    /// Records the duration of a job in the moving average.
    pub(crate) fn record_run(&mut self, run: Duration) {
        self.mean_run = if self.mean_run.is_zero() { run } else { (self.mean_run * 7 + run) / 8 };
    }

    /// Returns its rank among the workers with free slots; `None` if it has none.
    pub(crate) fn rank(&self) -> Option<Rank> {
        self.rank
    }

    fn free_slots(&self) -> u32 {
        let is_available = self.peer.is_some() && !self.draining;
        if is_available { self.info.slots.saturating_sub(self.busy) } else { 0 }
    }
}

/// All workers that are connected or may come back.
#[derive(Debug, Default)]
pub(crate) struct Workers {
    workers: BTreeMap<WorkerId, Worker>,
    by_peer: IdMap<Peer, WorkerId>,
    by_name: HashMap<WorkerName, WorkerId>,
    pub(crate) ranking: Ranking,
    ids: Sequence,
    dispatches: Sequence,
}

impl Workers {
    pub(crate) fn insert(&mut self, info: WorkerInfo, now: Time) -> WorkerId {
        let id = WorkerId(self.ids.next());
        self.by_name.insert(info.name.clone(), id);
        self.workers.insert(
            id,
            Worker {
                info,
                peer: None,
                tracks: Vec::new(),
                ready: BTreeSet::new(),
                failed: BTreeMap::new(),
                in_flight: SortedQueue::default(),
                busy: 0,
                draining: false,
                restarting: false,
                last_heard: now,
                mean_run: Duration::ZERO,
                last_used: 0,
                rank: None,
                is_serving: false,
            },
        );
        id
    }

    pub(crate) fn get(&self, id: WorkerId) -> Option<&Worker> {
        self.workers.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: WorkerId) -> Option<&mut Worker> {
        self.workers.get_mut(&id)
    }

    pub(crate) fn by_peer(&self, peer: Peer) -> Option<WorkerId> {
        self.by_peer.get(&peer).copied()
    }

    pub(crate) fn by_name(&self, name: &WorkerName) -> Option<WorkerId> {
        self.by_name.get(name).copied()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (WorkerId, &Worker)> + '_ {
        self.workers.iter().map(|(id, worker)| (*id, worker))
    }

    /// Iterates over the connected workers and their connections.
    pub(crate) fn connected(&self) -> impl Iterator<Item = (WorkerId, &Worker, Peer)> + '_ {
        self.iter().filter_map(|(id, worker)| Some((id, worker, worker.peer?)))
    }

    pub(crate) fn len(&self) -> usize {
        self.workers.len()
    }

    /// Moves a worker to another connection, or to none.
    pub(crate) fn connect(&mut self, id: WorkerId, peer: Option<Peer>) {
        let Some(worker) = self.workers.get_mut(&id) else { return };
        if let Some(old) = std::mem::replace(&mut worker.peer, peer) {
            self.by_peer.remove(&old);
        }
        if let Some(peer) = peer {
            self.by_peer.insert(peer, id);
        }
    }

    pub(crate) fn remove(&mut self, id: WorkerId) -> Option<Worker> {
        self.connect(id, None);
        self.update_rank(id);
        let worker = self.workers.remove(&id)?;
        if self.by_name.get(&worker.info.name) == Some(&id) {
            self.by_name.remove(&worker.info.name);
        }
        Some(worker)
    }

    /// Takes a worker out of the ranking, to change what it serves; [`update_rank`](Self::update_rank) puts it back.
    pub(crate) fn unrank(&mut self, id: WorkerId) {
        self.set_rank(id, None, false);
    }

    /// Ranks a worker again after any change of its slots or state.
    pub(crate) fn update_rank(&mut self, id: WorkerId) {
        let Some(worker) = self.workers.get(&id) else { return };
        let free = worker.free_slots();
        let rank = (free > 0).then(|| Rank::new(free, worker.last_used, id));
        let is_serving = worker.peer.is_some() && (!worker.draining || worker.restarting);
        self.set_rank(id, rank, is_serving);
    }

    /// Notes that a worker got a job just now.
    pub(crate) fn mark_used(&mut self, id: WorkerId) {
        let last_used = self.dispatches.next();
        if let Some(worker) = self.workers.get_mut(&id) {
            worker.last_used = last_used;
        }
    }

    fn set_rank(&mut self, id: WorkerId, rank: Option<Rank>, is_serving: bool) {
        let Some(worker) = self.workers.get_mut(&id) else { return };
        let generic = worker.info.topics.is_generic().then_some(worker.info.channel);
        if worker.rank != rank {
            self.ranking.update(&worker.tracks, generic, worker.rank, rank);
            worker.rank = rank;
        }
        if worker.is_serving != is_serving {
            self.ranking.count_serving(&worker.tracks, generic, is_serving);
            worker.is_serving = is_serving;
        }
    }
}
