//! Registration: a worker introduces itself, be it new, returning, or still connected.

use trackyard_protocol::channel::{Topic, Topics};
use trackyard_protocol::request::Tooling;
use trackyard_protocol::worker::{AfterDrain, Drain, FromRouter, Hello, PROTOCOL, TrackVersion, Welcome};

use super::bounds::{MAX_HELD_JOBS, MAX_RELEASE_CHARS, MAX_SLOTS, MAX_TOPICS, MAX_VERSIONS, MAX_WORKERS};
use super::worker::WorkerInfo;
use crate::dispatch::action::Effects;
use crate::dispatch::ids::WorkerId;
use crate::dispatch::{Counter, Dispatch, Peer};
use trackyard_daemon::clock::millis;

impl Dispatch {
    /// Registers a worker. A worker of the same name but another incarnation is removed.
    pub(crate) fn on_hello(&mut self, peer: Peer, mut hello: Hello, effects: &mut Effects<'_>) {
        if truncate(&mut hello) {
            effects.count(Counter::HelloTruncated);
        }
        if let Some(id) = self.workers.by_peer(peer)
            && self.workers.get(id).is_some_and(|worker| worker.info.name != hello.name)
        {
            self.on_worker_lost(id, effects);
        }
        let known = self.workers.by_name(&hello.name);
        let same = known.filter(|id| self.is_incarnation(*id, &hello));
        let mut detached = Vec::new();
        if same.is_none()
            && let Some(old) = known
        {
            if self.workers.get(old).is_some_and(|worker| worker.peer.is_some()) {
                effects.count(Counter::NameTaken);
            }
            detached = self.remove_worker(old, effects);
        }
        if same.is_none() && self.workers.len() >= MAX_WORKERS {
            effects.count(Counter::HelloTruncated);
        } else {
            let id = same.unwrap_or_else(|| self.workers.insert(worker_info(&hello), effects.now));
            self.attach(id, peer, &hello, effects);
        }
        self.retry_all(detached, effects);
    }

    fn is_incarnation(&self, id: WorkerId, hello: &Hello) -> bool {
        self.workers.get(id).is_some_and(|worker| worker.info.incarnation == hello.incarnation)
    }

    /// Attaches a registered worker to a connection, and reconciles what it holds.
    fn attach(&mut self, id: WorkerId, peer: Peer, hello: &Hello, effects: &mut Effects<'_>) {
        let previous = self.workers.get(id).and_then(|worker| worker.peer);
        let detached = if previous.is_some() { self.detach_attempts(id) } else { Vec::new() };
        self.workers.unrank(id);
        self.unregister_versions(id);
        self.workers.connect(id, Some(peer));
        self.update_info(id, hello, effects);
        self.register_versions(id, &hello.versions);
        self.reconcile(id, hello, previous == Some(peer), effects);
        self.send_welcome(id, peer, effects);
        self.restart_if_outdated(id, peer, hello, effects);
        self.workers.update_rank(id);
        self.retry_all(detached, effects);
        self.fill_slots(id, effects);
    }

    /// Takes over what a worker reports about itself.
    fn update_info(&mut self, id: WorkerId, hello: &Hello, effects: &Effects<'_>) {
        let old =
            self.workers.get_mut(id).map(|worker| std::mem::take(&mut worker.tracks)).unwrap_or_default();
        let scoped = hello.topics.iter().filter_map(|topic| match topic {
            Topic::Track(track) => Some(Tooling { channel: hello.channel, track: track.clone() }),
            Topic::Any => None,
        });
        let tracks = scoped.map(|tooling| self.lanes.add_scoped_worker(&tooling)).collect();
        old.into_iter().for_each(|track| self.lanes.remove_scoped_worker(track));
        let Some(worker) = self.workers.get_mut(id) else { return };
        worker.info = worker_info(hello);
        worker.tracks = tracks;
        worker.draining = hello.draining;
        worker.restarting = worker.restarting && hello.draining;
        worker.last_heard = effects.now;
    }

    /// Adds a connected worker to the lanes of the versions that it has ready or has failed.
    fn register_versions(&mut self, id: WorkerId, versions: &[TrackVersion]) {
        for version in versions {
            self.mark_ready(id, version);
        }
        let Some(worker) = self.workers.get_mut(id) else { return };
        worker.failed.retain(|lane, _| self.lanes.lane_mut(*lane).is_some_and(|lane| lane.failed.insert(id)));
    }

    /// Removes a worker from the lanes of the versions that it had ready or has failed.
    pub(crate) fn unregister_versions(&mut self, id: WorkerId) {
        let Some(worker) = self.workers.get_mut(id) else { return };
        let ready = std::mem::take(&mut worker.ready);
        let failed: Vec<_> = worker.failed.keys().copied().collect();
        for lane in ready.into_iter().chain(failed) {
            if let Some(entry) = self.lanes.lane_mut(lane) {
                entry.ready.remove(&id);
                entry.failed.remove(&id);
            }
            self.lanes.remove_if_unused(lane);
        }
    }

    /// Forgets a worker that has no connection and holds nothing.
    pub(crate) fn forget_worker(&mut self, id: WorkerId) {
        self.unregister_versions(id);
        if let Some(worker) = self.workers.remove(id) {
            worker.tracks.into_iter().for_each(|track| self.lanes.remove_scoped_worker(track));
        }
    }

    /// Sends a worker the versions to prepare and the settings to follow.
    pub(crate) fn send_welcome(&self, id: WorkerId, peer: Peer, effects: &mut Effects<'_>) {
        let welcome = Welcome {
            protocol: PROTOCOL,
            epoch: self.epoch,
            desired: self.desired(id),
            images: self.settings.images.clone(),
            inputs: self.settings.inputs.clone(),
            heartbeat_ms: millis(self.settings.heartbeat),
            silence_ms: millis(self.settings.silence),
        };
        effects.send(peer, FromRouter::Welcome(Box::new(welcome)));
    }

    fn restart_if_outdated(&mut self, id: WorkerId, peer: Peer, hello: &Hello, effects: &mut Effects<'_>) {
        let is_outdated = hello.bootstrap.is_some_and(|epoch| epoch != self.epoch);
        if self.settings.force_worker_restart && is_outdated && !hello.draining {
            self.restart_worker(id, peer, effects);
        }
    }

    /// Asks a worker to finish its jobs in flight and bootstrap again.
    pub(crate) fn restart_worker(&mut self, id: WorkerId, peer: Peer, effects: &mut Effects<'_>) {
        if let Some(worker) = self.workers.get_mut(id) {
            worker.draining = true;
            worker.restarting = true;
        }
        effects.send(peer, FromRouter::Drain(Drain { then: AfterDrain::Bootstrap }));
        self.workers.update_rank(id);
    }
}

fn worker_info(hello: &Hello) -> WorkerInfo {
    WorkerInfo {
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

/// Truncates what exceeds the bounds; returns true if something did.
fn truncate(hello: &mut Hello) -> bool {
    let topics = hello.topics.iter().count();
    let is_over = hello.versions.len() > MAX_VERSIONS
        || hello.jobs.len() > MAX_HELD_JOBS
        || hello.slots > MAX_SLOTS
        || topics > MAX_TOPICS;
    hello.versions.truncate(MAX_VERSIONS);
    hello.jobs.truncate(MAX_HELD_JOBS);
    hello.slots = hello.slots.min(MAX_SLOTS);
    if topics > MAX_TOPICS {
        hello.topics = hello.topics.iter().take(MAX_TOPICS).cloned().collect::<Topics>();
    }
    is_over
}
