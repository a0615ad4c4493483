//! A worker says who it is: a new one, one that comes back, or one that was never gone.

use trackyard_protocol::channel::{Topic, Topics};
use trackyard_protocol::request::Place;
use trackyard_protocol::worker::{Drain, FromRouter, Hello, PROTOCOL, Then, TrackVersion, Welcome};

use super::bounds::{MAX_HELD_JOBS, MAX_RELEASE_CHARS, MAX_SLOTS, MAX_TOPICS, MAX_VERSIONS, MAX_WORKERS};
use super::worker::About;
use crate::dispatch::action::Turn;
use crate::dispatch::event::millis;
use crate::dispatch::ids::WorkerId;
use crate::dispatch::{Counter, Dispatch, Peer};

impl Dispatch {
    pub(crate) fn hello(&mut self, peer: Peer, mut hello: Hello, turn: &mut Turn<'_>) {
        if cut(&mut hello) {
            turn.count(Counter::HelloTruncated);
        }
        if let Some(id) = self.workers.by_peer(peer)
            && self.workers.get(id).is_some_and(|worker| worker.about.name != hello.name)
        {
            self.lose(id, turn);
        }
        let known = self.workers.by_name(&hello.name);
        let same = known.filter(|id| self.is_incarnation(*id, &hello));
        let mut stranded = Vec::new();
        if same.is_none()
            && let Some(old) = known
        {
            if self.workers.get(old).is_some_and(|worker| worker.peer.is_some()) {
                turn.count(Counter::NameTaken);
            }
            stranded = self.retire(old, turn);
        }
        if same.is_none() && self.workers.len() >= MAX_WORKERS {
            turn.count(Counter::HelloTruncated);
        } else {
            let id = same.unwrap_or_else(|| self.workers.insert(about(&hello), turn.now));
            self.take_up(id, peer, &hello, turn);
        }
        self.retry_all(stranded, turn);
    }

    fn is_incarnation(&self, id: WorkerId, hello: &Hello) -> bool {
        self.workers.get(id).is_some_and(|worker| worker.about.incarnation == hello.incarnation)
    }

    fn take_up(&mut self, id: WorkerId, peer: Peer, hello: &Hello, turn: &mut Turn<'_>) {
        let before = self.workers.get(id).and_then(|worker| worker.peer);
        let stranded = if before.is_some() { self.strand(id) } else { Vec::new() };
        self.workers.unfit(id);
        self.detach_lanes(id);
        self.workers.connect(id, Some(peer));
        self.describe(id, hello, turn);
        self.attach_lanes(id, &hello.versions);
        self.reconcile(id, hello, before == Some(peer), turn);
        self.welcome(id, peer, turn);
        self.restart_if_old(id, peer, hello, turn);
        self.workers.refit(id);
        self.retry_all(stranded, turn);
        self.fill(id, turn);
    }

    fn describe(&mut self, id: WorkerId, hello: &Hello, turn: &Turn<'_>) {
        let old =
            self.workers.get_mut(id).map(|worker| std::mem::take(&mut worker.tracks)).unwrap_or_default();
        let named = hello.topics.iter().filter_map(|topic| match topic {
            Topic::Track(track) => Some(Place { channel: hello.channel, track: track.clone() }),
            Topic::Any => None,
        });
        let tracks = named.map(|place| self.lanes.scope(&place)).collect();
        old.into_iter().for_each(|track| self.lanes.unscope(track));
        let Some(worker) = self.workers.get_mut(id) else { return };
        worker.about = about(hello);
        worker.tracks = tracks;
        worker.draining = hello.draining;
        worker.returning = worker.returning && hello.draining;
        worker.heard = turn.now;
    }

    /// Notes what a connected worker has ready, and what it has failed so far.
    fn attach_lanes(&mut self, id: WorkerId, versions: &[TrackVersion]) {
        for version in versions {
            self.note_ready(id, version);
        }
        let Some(worker) = self.workers.get_mut(id) else { return };
        worker.failed.retain(|lane, _| {
            let known = self.lanes.lane_mut(*lane);
            known.is_some_and(|lane| lane.failed.insert(id))
        });
    }

    /// What a worker has ready or failed counts no more.
    pub(crate) fn detach_lanes(&mut self, id: WorkerId) {
        let Some(worker) = self.workers.get_mut(id) else { return };
        let ready = std::mem::take(&mut worker.ready);
        let failed: Vec<_> = worker.failed.keys().copied().collect();
        for lane in ready.into_iter().chain(failed) {
            if let Some(entry) = self.lanes.lane_mut(lane) {
                entry.ready.remove(&id);
                entry.failed.remove(&id);
            }
            self.lanes.release(lane);
        }
    }

    /// Forgets a worker that has no connection and holds nothing.
    pub(crate) fn forget_worker(&mut self, id: WorkerId) {
        self.detach_lanes(id);
        if let Some(worker) = self.workers.remove(id) {
            worker.tracks.into_iter().for_each(|track| self.lanes.unscope(track));
        }
    }

    /// Tells a worker what to prepare and how to behave.
    pub(crate) fn welcome(&self, id: WorkerId, peer: Peer, turn: &mut Turn<'_>) {
        let welcome = Welcome {
            protocol: PROTOCOL,
            epoch: self.epoch,
            desired: self.desired(id),
            images: self.settings.images.clone(),
            inputs: self.settings.inputs.clone(),
            heartbeat_ms: millis(self.settings.heartbeat),
            silence_ms: millis(self.settings.silence),
        };
        turn.send(peer, FromRouter::Welcome(Box::new(welcome)));
    }

    fn restart_if_old(&mut self, id: WorkerId, peer: Peer, hello: &Hello, turn: &mut Turn<'_>) {
        let old = hello.bootstrap.is_some_and(|epoch| epoch != self.epoch);
        if self.settings.force_worker_restart && old && !hello.draining {
            self.restart_worker(id, peer, turn);
        }
    }

    /// Lets a worker finish its jobs in hand and bootstrap again.
    pub(crate) fn restart_worker(&mut self, id: WorkerId, peer: Peer, turn: &mut Turn<'_>) {
        if let Some(worker) = self.workers.get_mut(id) {
            worker.draining = true;
            worker.returning = true;
        }
        turn.send(peer, FromRouter::Drain(Drain { then: Then::Bootstrap }));
        self.workers.refit(id);
    }
}

fn about(hello: &Hello) -> About {
    About {
        name: hello.name.clone(),
        incarnation: hello.incarnation,
        pool: hello.pool.clone(),
        channel: hello.channel,
        topics: hello.topics.clone(),
        slots: hello.slots,
        bootstrap: hello.bootstrap,
        release: hello.release.chars().take(MAX_RELEASE_CHARS).collect(),
        protocol: hello.protocol,
    }
}

/// Bounds what a worker may say; true if something was cut.
fn cut(hello: &mut Hello) -> bool {
    let topics = hello.topics.iter().count();
    let over = hello.versions.len() > MAX_VERSIONS
        || hello.jobs.len() > MAX_HELD_JOBS
        || hello.slots > MAX_SLOTS
        || topics > MAX_TOPICS;
    hello.versions.truncate(MAX_VERSIONS);
    hello.jobs.truncate(MAX_HELD_JOBS);
    hello.slots = hello.slots.min(MAX_SLOTS);
    if topics > MAX_TOPICS {
        hello.topics = hello.topics.iter().take(MAX_TOPICS).cloned().collect::<Topics>();
    }
    over
}
