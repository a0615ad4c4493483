//! The workers: who is connected, what each can run, what it has in hand.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use trackyard_protocol::channel::{Channel, Topics};
use trackyard_protocol::name::{PoolName, WorkerName};
use trackyard_protocol::request::Place;
use trackyard_protocol::token::{Epoch, Incarnation, Token};
use trackyard_protocol::worker::VersionFailed;

use super::bounds::{MAX_MESSAGE_CHARS, MAX_REASON_CHARS};
use super::ranking::{Free, Pools};
use crate::dispatch::ids::{LaneId, Map, Numbers, TrackId, WorkerId};
use crate::dispatch::queue::SortedQueue;
use crate::dispatch::{Peer, Time};

/// One start of a worker.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) about: About,
    /// Absent while it is lost and may come back with its jobs.
    pub(crate) peer: Option<Peer>,
    /// The tracks to which it is scoped.
    pub(crate) tracks: Vec<TrackId>,
    pub(crate) ready: BTreeSet<LaneId>,
    pub(crate) failed: BTreeMap<LaneId, Failure>,
    /// The attempts that it has not closed.
    pub(crate) hand: SortedQueue<Token>,
    /// How many of them fill a slot.
    pub(crate) busy: u32,
    /// It takes no more jobs.
    pub(crate) draining: bool,
    /// It drains to bootstrap again, and so will be back soon.
    pub(crate) returning: bool,
    pub(crate) heard: Time,
    /// How long its jobs took lately; zero if none has ended yet.
    pub(crate) mean_run: Duration,
    /// When it was last given a job, counted in dispatches.
    pub(crate) used: u64,
    /// Its place in the pools.
    fit: Option<Free>,
    serving: bool,
}

/// What a worker says of itself.
#[derive(Debug, Clone)]
pub(crate) struct About {
    pub(crate) name: WorkerName,
    pub(crate) incarnation: Incarnation,
    pub(crate) pool: Option<PoolName>,
    pub(crate) channel: Channel,
    pub(crate) topics: Topics,
    pub(crate) slots: u32,
    pub(crate) bootstrap: Option<Epoch>,
    pub(crate) release: String,
    /// The version of the words that it knows.
    pub(crate) protocol: u32,
}

impl About {
    /// True if jobs of this place may be given to it.
    pub(crate) fn covers(&self, place: &Place) -> bool {
        place.is_covered_by(self.channel, &self.topics)
    }
}

/// Why a worker has a version not ready. Many are kept, so their texts are short.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) reason: String,
    pub(crate) status_code: u16,
    pub(crate) message: String,
    pub(crate) retrying: bool,
}

impl Failure {
    pub(crate) fn of(failed: &VersionFailed) -> Self {
        let cut = |text: &str, most: usize| text.chars().take(most).collect();
        Self {
            reason: cut(&failed.reason, MAX_REASON_CHARS),
            status_code: failed.status_code,
            message: cut(&failed.message, MAX_MESSAGE_CHARS),
            retrying: failed.retrying,
        }
    }
}

/// A worker that left to bootstrap again.
#[derive(Debug)]
pub(crate) struct Returning {
    pub(crate) until: Time,
    pub(crate) channel: Channel,
    pub(crate) topics: Topics,
}

impl Worker {
    pub(crate) fn serves(&self, channel: Channel, track: TrackId) -> bool {
        self.about.channel == channel && (self.about.topics.is_generic() || self.tracks.contains(&track))
    }

    /// True if it is scoped to the track, which comes before a generic worker.
    pub(crate) fn is_scoped_to(&self, track: TrackId) -> bool {
        self.tracks.contains(&track)
    }

    /// One job took so long: the latest count most.
    pub(crate) fn ran(&mut self, run: Duration) {
        self.mean_run = if self.mean_run.is_zero() { run } else { (self.mean_run * 7 + run) / 8 };
    }

    /// Its place among the workers with free slots, if it has one.
    pub(crate) fn fit(&self) -> Option<Free> {
        self.fit
    }

    fn free(&self) -> u32 {
        let takes = self.peer.is_some() && !self.draining;
        if takes { self.about.slots.saturating_sub(self.busy) } else { 0 }
    }
}

/// All workers that are connected or may come back.
#[derive(Debug, Default)]
pub(crate) struct Workers {
    workers: BTreeMap<WorkerId, Worker>,
    by_peer: Map<Peer, WorkerId>,
    by_name: HashMap<WorkerName, WorkerId>,
    pub(crate) pools: Pools,
    ids: Numbers,
    dispatches: Numbers,
}

impl Workers {
    pub(crate) fn insert(&mut self, about: About, now: Time) -> WorkerId {
        let id = WorkerId(self.ids.next());
        self.by_name.insert(about.name.clone(), id);
        self.workers.insert(
            id,
            Worker {
                about,
                peer: None,
                tracks: Vec::new(),
                ready: BTreeSet::new(),
                failed: BTreeMap::new(),
                hand: SortedQueue::default(),
                busy: 0,
                draining: false,
                returning: false,
                heard: now,
                mean_run: Duration::ZERO,
                used: 0,
                fit: None,
                serving: false,
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

    /// The connected workers and their connections.
    pub(crate) fn connected(&self) -> impl Iterator<Item = (WorkerId, &Worker, Peer)> + '_ {
        self.iter().filter_map(|(id, worker)| Some((id, worker, worker.peer?)))
    }

    pub(crate) fn len(&self) -> usize {
        self.workers.len()
    }

    /// Lets the worker speak by another connection, or by none.
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
        self.refit(id);
        let worker = self.workers.remove(&id)?;
        if self.by_name.get(&worker.about.name) == Some(&id) {
            self.by_name.remove(&worker.about.name);
        }
        Some(worker)
    }

    /// Takes the worker out of the pools, to change what it serves; [`refit`](Self::refit) puts it back.
    pub(crate) fn unfit(&mut self, id: WorkerId) {
        self.place(id, None, false);
    }

    /// Puts the worker where it belongs in the pools, after any change of its slots or state.
    pub(crate) fn refit(&mut self, id: WorkerId) {
        let Some(worker) = self.workers.get(&id) else { return };
        let free = worker.free();
        let fit = (free > 0).then(|| Free::new(free, worker.used, id));
        let serving = worker.peer.is_some() && (!worker.draining || worker.returning);
        self.place(id, fit, serving);
    }

    /// The worker was given a job just now.
    pub(crate) fn use_now(&mut self, id: WorkerId) {
        let used = self.dispatches.next();
        if let Some(worker) = self.workers.get_mut(&id) {
            worker.used = used;
        }
    }

    fn place(&mut self, id: WorkerId, fit: Option<Free>, serving: bool) {
        let Some(worker) = self.workers.get_mut(&id) else { return };
        let generic = worker.about.topics.is_generic().then_some(worker.about.channel);
        if worker.fit != fit {
            self.pools.move_free(&worker.tracks, generic, worker.fit, fit);
            worker.fit = fit;
        }
        if worker.serving != serving {
            self.pools.count_serving(&worker.tracks, generic, serving);
            worker.serving = serving;
        }
    }
}
