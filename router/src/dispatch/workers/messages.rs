//! Messages from workers.

use trackyard_protocol::build::LogPage;
use trackyard_protocol::request::Tooling;
use trackyard_protocol::token::Token;
use trackyard_protocol::worker::{FromRouter, FromWorker, TrackVersion, VersionFailed};

use super::attempt::AttemptState;
use super::bounds::{HELLO_REQUEST_INTERVAL, MAX_HELLO_REQUESTS, MAX_VERSIONS};
use super::worker::VersionFailure;
use crate::dispatch::action::Effects;
use crate::dispatch::ids::{LaneId, WorkerId};
use crate::dispatch::{Counter, Dispatch, Peer};

impl Dispatch {
    /// Handles a message. A worker that has not sent its `Hello` is only asked for it.
    pub(crate) fn on_message(&mut self, peer: Peer, message: FromWorker, effects: &mut Effects<'_>) {
        if let FromWorker::Hello(hello) = message {
            self.hello_requests.remove(&peer);
            return self.on_hello(peer, *hello, effects);
        }
        let Some(id) = self.workers.by_peer(peer) else {
            if !matches!(message, FromWorker::Goodbye) {
                self.request_hello(peer, effects);
            }
            return;
        };
        if let Some(worker) = self.workers.get_mut(id) {
            worker.last_heard = effects.now;
        }
        self.on_registered_message(id, peer, message, effects);
    }

    /// Asks for a `Hello`, at most once an interval, because each `Hello` is a long message.
    fn request_hello(&mut self, peer: Peer, effects: &mut Effects<'_>) {
        let was_asked =
            self.hello_requests.get(&peer).is_some_and(|at| effects.now < *at + HELLO_REQUEST_INTERVAL);
        if was_asked {
            return;
        }
        if self.hello_requests.len() < MAX_HELLO_REQUESTS {
            self.hello_requests.insert(peer, effects.now);
        }
        effects.count(Counter::HelloRequested);
        effects.send(peer, FromRouter::SayHello);
    }

    fn on_registered_message(
        &mut self,
        id: WorkerId,
        peer: Peer,
        message: FromWorker,
        effects: &mut Effects<'_>,
    ) {
        match message {
            FromWorker::Accepted(accepted) => self.on_accepted(id, accepted.token, effects),
            FromWorker::Log(log) => self.on_log(id, log.token, log.page, effects),
            FromWorker::Result(result) => self.on_result(id, peer, *result, effects),
            FromWorker::Returned(returned) => self.on_returned(id, &returned, effects),
            FromWorker::Ready(version) => {
                self.mark_ready(id, &version);
                self.fill_slots(id, effects);
            }
            FromWorker::Unready(version) => self.on_unready(id, &version),
            FromWorker::Failed(failed) => self.on_failed(id, &failed, effects),
            FromWorker::Draining => self.on_draining(id, effects),
            FromWorker::Goodbye => self.on_goodbye(id, effects),
            FromWorker::Heartbeat(_) | FromWorker::Hello(_) => {}
        }
    }

    fn on_accepted(&mut self, id: WorkerId, token: Token, effects: &mut Effects<'_>) {
        match self.attempts.get_mut(token).filter(|attempt| attempt.worker == id) {
            Some(attempt) if attempt.state == AttemptState::Sent => attempt.state = AttemptState::Accepted,
            Some(_) => {}
            None => {
                effects.count(Counter::UnknownToken);
                self.cancel_unknown(id, token, effects);
            }
        }
    }

    fn on_log(&mut self, id: WorkerId, token: Token, page: LogPage, effects: &mut Effects<'_>) {
        match self.attempts.get_mut(token).filter(|attempt| attempt.worker == id) {
            Some(attempt) => attempt.log.push(page),
            None => effects.count(Counter::UnknownToken),
        }
    }

    /// Notes that a worker has a version ready.
    pub(crate) fn mark_ready(&mut self, id: WorkerId, version: &TrackVersion) {
        let Some(lane) = self.lane_for(id, version) else { return };
        if let Some(worker) = self.workers.get_mut(id) {
            worker.failed.remove(&lane);
            worker.ready.insert(lane);
        }
        if let Some(entry) = self.lanes.lane_mut(lane) {
            entry.failed.remove(&id);
            entry.ready.insert(id);
            entry.prioritized = false;
        }
    }

    /// Returns the lane of a version that this worker may run; `None` if it does not serve the track, or already has the
    /// maximum of versions.
    fn lane_for(&mut self, id: WorkerId, version: &TrackVersion) -> Option<LaneId> {
        let worker = self.workers.get(id)?;
        let is_full = worker.ready.len() >= MAX_VERSIONS || worker.failed.len() >= MAX_VERSIONS;
        if is_full || !worker.info.topics.covers(&version.track) {
            return None;
        }
        let tooling = Tooling { channel: worker.info.channel, track: version.track.clone() };
        Some(self.lanes.get_or_create(&tooling, Some(&version.version)))
    }

    fn on_unready(&mut self, id: WorkerId, version: &TrackVersion) {
        let Some(worker) = self.workers.get(id) else { return };
        let tooling = Tooling { channel: worker.info.channel, track: version.track.clone() };
        if let Some(lane) = self.lanes.find(&tooling, Some(&version.version)) {
            self.mark_unready(id, lane);
        }
    }

    /// Sends a worker no more jobs of a lane until it reports the version as ready.
    pub(crate) fn mark_unready(&mut self, id: WorkerId, lane: LaneId) {
        if let Some(worker) = self.workers.get_mut(id) {
            worker.ready.remove(&lane);
            worker.failed.remove(&lane);
        }
        if let Some(entry) = self.lanes.lane_mut(lane) {
            entry.ready.remove(&id);
            entry.failed.remove(&id);
        }
        self.lanes.remove_if_unused(lane);
    }

    fn on_failed(&mut self, id: WorkerId, failed: &VersionFailed, effects: &mut Effects<'_>) {
        let Some(lane) = self.lane_for(id, &failed.version) else { return };
        if let Some(worker) = self.workers.get_mut(id) {
            worker.ready.remove(&lane);
            worker.failed.insert(lane, VersionFailure::new(failed));
        }
        if let Some(entry) = self.lanes.lane_mut(lane) {
            entry.ready.remove(&id);
            entry.failed.insert(id);
        }
        self.refuse_failed(lane, effects);
    }

    fn on_draining(&mut self, id: WorkerId, effects: &mut Effects<'_>) {
        if let Some(worker) = self.workers.get_mut(id) {
            worker.draining = true;
        }
        self.workers.update_rank(id);
        self.refuse_all_failed(effects);
    }

    fn on_goodbye(&mut self, id: WorkerId, effects: &mut Effects<'_>) {
        let jobs = self.remove_worker(id, effects);
        self.retry_all(jobs, effects);
        self.refuse_all_failed(effects);
    }
}
