//! How attempts and jobs end.

use std::sync::Arc;

use trackyard_protocol::reason::Reason;
use trackyard_protocol::token::Token;
use trackyard_protocol::worker::{Ack, Acknowledge, Cancel, FromRouter, JobResult, Returned, Verdict};

use crate::dispatch::action::Turn;
use crate::dispatch::answers::Origin;
use crate::dispatch::event::millis;
use crate::dispatch::ids::{JobNo, LaneId, WorkerId};
use crate::dispatch::planted_fault::Sabotage;
use crate::dispatch::workers::attempt::{Attempt, State};
use crate::dispatch::{Counter, Dispatch, Ending, Output, Peer};

impl Dispatch {
    /// A worker sent a result: it is acknowledged whatever becomes of it.
    pub(crate) fn take_result(&mut self, id: WorkerId, peer: Peer, result: JobResult, turn: &mut Turn<'_>) {
        let token = result.token;
        let closed = self.close(id, token);
        let needed = matches!(closed, Some((_, Some(_))));
        self.acknowledge(peer, token, if needed { Ack::Stored } else { Ack::Dropped }, turn);
        match closed {
            Some((attempt, Some(no))) => self.conclude(no, &attempt, result, turn),
            Some((_, None)) => turn.count(Counter::LateResult),
            None => turn.count(Counter::UnknownToken),
        }
        self.workers.refit(id);
        self.fill(id, turn);
    }

    fn acknowledge(&self, peer: Peer, token: Token, ack: Ack, turn: &mut Turn<'_>) {
        if self.saboteur.does(Sabotage::SkipAck) && token.sequence.is_multiple_of(7) {
            return;
        }
        turn.send(peer, FromRouter::Ack(Acknowledge { token, ack }));
    }

    /// The first result ends a job.
    fn conclude(&mut self, no: JobNo, attempt: &Attempt, result: JobResult, turn: &mut Turn<'_>) {
        if self.saboteur.does(Sabotage::WrongWaiter) && attempt.token.sequence.is_multiple_of(50) {
            self.jobs.swap_waiters(no);
        }
        let Some(job) = self.jobs.get(no) else { return };
        let (key, unclaimed, build) = (job.key, job.waiters.is_empty(), job.is_build());
        let queued = attempt.sent.saturating_sub(job.received);
        if let Some(worker) = self.workers.get_mut(attempt.worker) {
            worker.ran(turn.now.saturating_sub(attempt.sent));
        }
        let mut ending = from_result(result);
        ending.attempt = Some(attempt.number);
        ending.worker = self.workers.get(attempt.worker).map(|worker| worker.about.name.clone());
        if let Some(usage) = &mut ending.usage {
            usage.queue_ms = millis(queued);
        }
        let storable = ending.reason.is_replayable() || self.saboteur.does(Sabotage::ReplayedFailure);
        if unclaimed || storable && !build {
            let about = self.workers.get(attempt.worker).map(|worker| &worker.about);
            let unclaimed = about.filter(|_| unclaimed).map(Origin::from);
            let room = self.settings.store_bytes;
            let evicted = self.answers.store(key, &ending, unclaimed, room, turn.now);
            (0..evicted).for_each(|_| turn.count(Counter::AnswerEvicted));
        }
        self.finish(no, ending, turn);
    }

    /// A worker gave a job back, which is no attempt.
    pub(crate) fn take_returned(&mut self, id: WorkerId, returned: &Returned, turn: &mut Turn<'_>) {
        let lane = self.lane_of(returned.token);
        let Some((_, no)) = self.close(id, returned.token) else {
            return turn.count(Counter::UnknownToken);
        };
        turn.count(Counter::Returned);
        if let Some(worker) = self.workers.get_mut(id) {
            worker.draining |= returned.why == "draining";
        }
        if no.is_some()
            && returned.why != "draining"
            && let Some(lane) = lane
        {
            self.forget_ready(id, lane);
        }
        self.workers.refit(id);
        if let Some(no) = no {
            self.run_on(no, turn);
        }
        self.fill(id, turn);
    }

    fn lane_of(&self, token: Token) -> Option<LaneId> {
        self.jobs.get(self.attempts.get(token)?.job?)?.lane()
    }

    /// Closes an attempt of this worker and frees its slot. Gives the attempt, and its job if that is in flight.
    pub(crate) fn close(&mut self, id: WorkerId, token: Token) -> Option<(Attempt, Option<JobNo>)> {
        let token = self.attempts.get(token).filter(|attempt| attempt.worker == id)?.token;
        let attempt = self.attempts.remove(token)?;
        let leaked = self.saboteur.does(Sabotage::LeakedSlot) && token.sequence.is_multiple_of(97);
        if let Some(worker) = self.workers.get_mut(id) {
            worker.hand.remove(&token);
            let filled = attempt.state != State::Finished && !leaked;
            worker.busy = worker.busy.saturating_sub(u32::from(filled));
        }
        let no = attempt.job.filter(|no| self.jobs.get(*no).is_some());
        if let Some(job) = no.and_then(|no| self.jobs.get_mut(no)) {
            job.let_go(&attempt);
        }
        Some((attempt, no))
    }

    /// Ends a job: each waiter gets the answer, other attempts are cancelled.
    pub(crate) fn finish(&mut self, no: JobNo, ending: impl Into<Arc<Ending>>, turn: &mut Turn<'_>) {
        self.dequeue(no);
        let Some(mut job) = self.jobs.remove(no) else { return };
        for token in std::mem::take(&mut job.attempts) {
            self.abandon(token, turn);
        }
        if let Some(id) = job.lane() {
            if let Some(lane) = self.lanes.lane_mut(id) {
                lane.jobs = lane.jobs.saturating_sub(1);
            }
            self.lanes.release(id);
        }
        let ending = ending.into();
        let last = job.waiters.pop();
        for waiting in job.waiters {
            turn.answer(waiting.waiter, Arc::clone(&ending));
        }
        if let Some(waiting) = last {
            let chosen = no.0.is_multiple_of(50);
            if chosen && self.saboteur.does(Sabotage::DroppedAnswer) {
                return;
            }
            if chosen && self.saboteur.does(Sabotage::DoubleAnswer) {
                turn.answer(waiting.waiter, Arc::clone(&ending));
            }
            turn.answer(waiting.waiter, ending);
        }
    }

    /// Ends all jobs that wait in a lane.
    pub(crate) fn finish_waiting(&mut self, lane: LaneId, ending: Ending, turn: &mut Turn<'_>) {
        let ending = Arc::new(ending);
        let waiting = self.lanes.lane(lane).map(|lane| lane.waiting.clone()).unwrap_or_default();
        for no in waiting {
            self.finish(no, Arc::clone(&ending), turn);
        }
    }

    /// Nobody waits for this attempt any more. Its slot stays filled until the worker closes it.
    pub(crate) fn abandon(&mut self, token: Token, turn: &mut Turn<'_>) {
        let Some(attempt) = self.attempts.get_mut(token) else { return };
        attempt.job = None;
        let (id, token, finished) = (attempt.worker, attempt.token, attempt.state == State::Finished);
        match self.workers.get(id).and_then(|worker| worker.peer) {
            Some(peer) if !finished => turn.send(peer, FromRouter::Cancel(Cancel { token })),
            Some(_) => {}
            None => {
                self.close(id, token);
                self.forget_if_empty(id);
            }
        }
    }

    /// Forgets a lost worker that holds no job of interest.
    pub(crate) fn forget_if_empty(&mut self, id: WorkerId) {
        if self.workers.get(id).is_some_and(|worker| worker.peer.is_none() && worker.hand.is_empty()) {
            self.forget_worker(id);
        }
    }
}

/// What a worker may say of a job; other reasons are the router's own.
fn reason_of(verdict: &Verdict) -> Option<Reason> {
    let known = Reason::find(verdict.status_code, &verdict.reason)?;
    matches!(known.code(), 200 | 400..=403 | 510..=514).then_some(known)
}

fn from_result(result: JobResult) -> Ending {
    let JobResult { verdict, usage, response, context, .. } = result;
    let reason = reason_of(&verdict);
    let unknown = || format!("the worker said {} {:?}", verdict.status_code, verdict.reason);
    let error_detail = if reason.is_none() { Some(unknown()) } else { None };
    Ending {
        reason: reason.unwrap_or(Reason::WorkerInternal),
        message: verdict.message,
        usage: Some(usage),
        output: Some(Output { response, context }),
        worker: None,
        attempt: None,
        error_detail,
    }
}
