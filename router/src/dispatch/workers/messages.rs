//! What workers say.

use trackyard_protocol::build::LogPage;
use trackyard_protocol::request::Place;
use trackyard_protocol::token::Token;
use trackyard_protocol::worker::{FromRouter, FromWorker, TrackVersion, VersionFailed};

use super::attempt::State;
use super::bounds::{HELLO_REQUEST_INTERVAL, MAX_HELLO_REQUESTS, MAX_VERSIONS};
use super::worker::Failure;
use crate::dispatch::action::Turn;
use crate::dispatch::ids::{LaneId, WorkerId};
use crate::dispatch::{Counter, Dispatch, Peer};

impl Dispatch {
    /// Before its `Hello`, a worker is only asked for it.
    pub(crate) fn hear(&mut self, peer: Peer, message: FromWorker, turn: &mut Turn<'_>) {
        if let FromWorker::Hello(hello) = message {
            self.asked.remove(&peer);
            return self.hello(peer, *hello, turn);
        }
        let Some(id) = self.workers.by_peer(peer) else {
            if !matches!(message, FromWorker::Goodbye) {
                self.ask_hello(peer, turn);
            }
            return;
        };
        if let Some(worker) = self.workers.get_mut(id) {
            worker.heard = turn.now;
        }
        self.hear_known(id, peer, message, turn);
    }

    /// Asks once for all that comes before the `Hello`, and again if none comes: each answer is a long message.
    fn ask_hello(&mut self, peer: Peer, turn: &mut Turn<'_>) {
        let asked = self.asked.get(&peer).is_some_and(|at| turn.now < *at + HELLO_REQUEST_INTERVAL);
        if asked {
            return;
        }
        if self.asked.len() < MAX_HELLO_REQUESTS {
            self.asked.insert(peer, turn.now);
        }
        turn.count(Counter::HelloRequested);
        turn.send(peer, FromRouter::SayHello);
    }

    fn hear_known(&mut self, id: WorkerId, peer: Peer, message: FromWorker, turn: &mut Turn<'_>) {
        match message {
            FromWorker::Accepted(accepted) => self.take_accepted(id, accepted.token, turn),
            FromWorker::Log(log) => self.take_log(id, log.token, log.page, turn),
            FromWorker::Result(result) => self.take_result(id, peer, *result, turn),
            FromWorker::Returned(returned) => self.take_returned(id, &returned, turn),
            FromWorker::Ready(version) => {
                self.note_ready(id, &version);
                self.fill(id, turn);
            }
            FromWorker::Unready(version) => self.note_unready(id, &version),
            FromWorker::Failed(failed) => self.note_failed(id, &failed, turn),
            FromWorker::Draining => self.note_draining(id, turn),
            FromWorker::Goodbye => self.take_leave(id, turn),
            FromWorker::Heartbeat(_) | FromWorker::Hello(_) => {}
        }
    }

    fn take_accepted(&mut self, id: WorkerId, token: Token, turn: &mut Turn<'_>) {
        match self.attempts.get_mut(token).filter(|attempt| attempt.worker == id) {
            Some(attempt) if attempt.state == State::Sent => attempt.state = State::Accepted,
            Some(_) => {}
            None => {
                turn.count(Counter::UnknownToken);
                self.disown(id, token, turn);
            }
        }
    }

    fn take_log(&mut self, id: WorkerId, token: Token, page: LogPage, turn: &mut Turn<'_>) {
        match self.attempts.get_mut(token).filter(|attempt| attempt.worker == id) {
            Some(attempt) => attempt.log.push(page),
            None => turn.count(Counter::UnknownToken),
        }
    }

    pub(crate) fn note_ready(&mut self, id: WorkerId, version: &TrackVersion) {
        let Some(lane) = self.lane_for(id, version) else { return };
        if let Some(worker) = self.workers.get_mut(id) {
            worker.failed.remove(&lane);
            worker.ready.insert(lane);
        }
        if let Some(entry) = self.lanes.lane_mut(lane) {
            entry.failed.remove(&id);
            entry.ready.insert(id);
            entry.urged = false;
        }
    }

    /// The lane of a version that this worker may run; none for another's track, or for one version too many.
    fn lane_for(&mut self, id: WorkerId, version: &TrackVersion) -> Option<LaneId> {
        let worker = self.workers.get(id)?;
        let full = worker.ready.len() >= MAX_VERSIONS || worker.failed.len() >= MAX_VERSIONS;
        if full || !worker.about.topics.covers(&version.track) {
            return None;
        }
        let place = Place { channel: worker.about.channel, track: version.track.clone() };
        Some(self.lanes.enter(&place, Some(&version.version)))
    }

    fn note_unready(&mut self, id: WorkerId, version: &TrackVersion) {
        let Some(worker) = self.workers.get(id) else { return };
        let place = Place { channel: worker.about.channel, track: version.track.clone() };
        if let Some(lane) = self.lanes.find(&place, Some(&version.version)) {
            self.forget_ready(id, lane);
        }
    }

    /// The worker gets no more jobs of the lane until it says that the version is ready.
    pub(crate) fn forget_ready(&mut self, id: WorkerId, lane: LaneId) {
        if let Some(worker) = self.workers.get_mut(id) {
            worker.ready.remove(&lane);
            worker.failed.remove(&lane);
        }
        if let Some(entry) = self.lanes.lane_mut(lane) {
            entry.ready.remove(&id);
            entry.failed.remove(&id);
        }
        self.lanes.release(lane);
    }

    fn note_failed(&mut self, id: WorkerId, failed: &VersionFailed, turn: &mut Turn<'_>) {
        let Some(lane) = self.lane_for(id, &failed.version) else { return };
        if let Some(worker) = self.workers.get_mut(id) {
            worker.ready.remove(&lane);
            worker.failed.insert(lane, Failure::of(failed));
        }
        if let Some(entry) = self.lanes.lane_mut(lane) {
            entry.ready.remove(&id);
            entry.failed.insert(id);
        }
        self.refuse_failed(lane, turn);
    }

    fn note_draining(&mut self, id: WorkerId, turn: &mut Turn<'_>) {
        if let Some(worker) = self.workers.get_mut(id) {
            worker.draining = true;
        }
        self.workers.refit(id);
        self.refuse_all_failed(turn);
    }

    fn take_leave(&mut self, id: WorkerId, turn: &mut Turn<'_>) {
        let jobs = self.retire(id, turn);
        self.retry_all(jobs, turn);
        self.refuse_all_failed(turn);
    }
}
