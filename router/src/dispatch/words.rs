//! What workers say.

use std::time::Duration;

use trackyard_protocol::reason::Reason;
use trackyard_protocol::request::Place;
use trackyard_protocol::token::Token;
use trackyard_protocol::worker::{FromRouter, FromWorker, TrackVersion, VersionFailed};

use super::attempt::State;
use super::hello::MOST_VERSIONS;
use super::number::{LaneId, WorkerId};
use super::turn::Turn;
use super::worker::Failure;
use super::{Counter, Dispatch, Ending, Peer};

/// Between two requests for the same `Hello`.
pub(crate) const ASK_AGAIN: Duration = Duration::from_millis(500);
/// How many of those asked are remembered.
const MOST_ASKED: usize = 10_000;

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
        let asked = self.asked.get(&peer).is_some_and(|at| turn.now < *at + ASK_AGAIN);
        if asked {
            return;
        }
        if self.asked.len() < MOST_ASKED {
            self.asked.insert(peer, turn.now);
        }
        turn.count(Counter::SaidHelloPlease);
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
        let full = worker.ready.len() >= MOST_VERSIONS || worker.failed.len() >= MOST_VERSIONS;
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

    /// Answers a lane's waiting jobs if no worker will ever have its version ready.
    pub(crate) fn refuse_failed(&mut self, lane: LaneId, turn: &mut Turn<'_>) {
        let Some(failure) = self.failure_everywhere(lane) else { return };
        let waiting = self.lanes.lane(lane).map(|lane| lane.waiting.clone()).unwrap_or_default();
        for no in waiting {
            self.finish(no, failure.clone(), turn);
        }
    }

    /// The workers' error, once all that could serve a version have failed it for good.
    pub(crate) fn failure_everywhere(&self, id: LaneId) -> Option<Ending> {
        let lane = self.lanes.lane(id).filter(|lane| lane.ready.is_empty() && !lane.failed.is_empty())?;
        let channel = self.lanes.track(lane.track)?.place.channel;
        let serving = self.workers.connected().filter(|(_, worker, _)| {
            worker.serves(channel, lane.track) && (!worker.draining || worker.returning)
        });
        let mut found = None;
        for (_, worker, _) in serving {
            let failure = worker.failed.get(&id).filter(|failure| !failure.retrying)?;
            found.get_or_insert((worker, failure));
        }
        let (worker, failure) = found.filter(|_| !self.recovering)?;
        let reason = Reason::find(failure.status_code, &failure.reason);
        let reason = reason.filter(|reason| matches!(reason.code(), 511 | 512));
        let mut ending = Ending::new(reason.unwrap_or(Reason::NotUnpacked), failure.message.clone());
        ending.error_detail = Some(format!("{} on worker {}", failure.reason, worker.about.name));
        Some(ending)
    }

    fn note_draining(&mut self, id: WorkerId, turn: &mut Turn<'_>) {
        if let Some(worker) = self.workers.get_mut(id) {
            worker.draining = true;
        }
        self.workers.refit(id);
        self.refuse_all_failed(turn);
    }

    fn take_leave(&mut self, id: WorkerId, turn: &mut Turn<'_>) {
        for no in self.retire(id, turn) {
            self.run_on(no, turn);
        }
        self.refuse_all_failed(turn);
    }

    /// Fewer workers may mean that all that are left have failed a version.
    pub(crate) fn refuse_all_failed(&mut self, turn: &mut Turn<'_>) {
        let lanes: Vec<LaneId> =
            self.lanes.waiting_tracks().flat_map(|(_, track)| track.waiting_lanes.iter().copied()).collect();
        for lane in lanes {
            self.refuse_failed(lane, turn);
        }
    }
}
