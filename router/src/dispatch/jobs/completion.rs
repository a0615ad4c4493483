//! How attempts and jobs end.

use std::sync::Arc;

use trackyard_protocol::reason::Reason;
use trackyard_protocol::token::Token;
use trackyard_protocol::worker::{Ack, Acknowledge, Cancel, FromRouter, JobResult, Returned, Verdict};

use crate::dispatch::action::Effects;
use crate::dispatch::answers::Origin;
use crate::dispatch::ids::{JobIndex, LaneId, WorkerId};
use crate::dispatch::planted_fault::PlantedFault;
use crate::dispatch::workers::{Attempt, AttemptState};
use crate::dispatch::{Counter, Dispatch, Ending, Output, Peer};
use trackyard_daemon::clock::millis;

impl Dispatch {
    /// Handles a result. It is acknowledged in any case.
    pub(crate) fn on_result(
        &mut self,
        id: WorkerId,
        peer: Peer,
        result: JobResult,
        effects: &mut Effects<'_>,
    ) {
        let token = result.token;
        let closed = self.close_attempt(id, token);
        let is_awaited = matches!(closed, Some((_, Some(_))));
        self.acknowledge(peer, token, if is_awaited { Ack::Stored } else { Ack::Dropped }, effects);
        match closed {
            Some((attempt, Some(index))) => self.complete(index, &attempt, result, effects),
            Some((_, None)) => effects.count(Counter::LateResult),
            None => effects.count(Counter::UnknownToken),
        }
        self.workers.update_rank(id);
        self.fill_slots(id, effects);
    }

    fn acknowledge(&self, peer: Peer, token: Token, ack: Ack, effects: &mut Effects<'_>) {
        if self.faults.is_active(PlantedFault::SkipAck) && token.sequence.is_multiple_of(7) {
            return;
        }
        effects.send(peer, FromRouter::Ack(Acknowledge { token, ack }));
    }

    /// Ends a job with its first result, and stores the answer if that may be replayed or has no client yet.
    fn complete(&mut self, index: JobIndex, attempt: &Attempt, result: JobResult, effects: &mut Effects<'_>) {
        if self.faults.is_active(PlantedFault::WrongWaiter) && attempt.token.sequence.is_multiple_of(50) {
            self.jobs.swap_waiters(index);
        }
        let Some(job) = self.jobs.get(index) else { return };
        let key = job.key;
        let is_unclaimed = job.waiters.is_empty();
        let is_build = job.is_build();
        let queued = attempt.sent.saturating_sub(job.received);
        if let Some(worker) = self.workers.get_mut(attempt.worker) {
            worker.record_run(effects.now.saturating_sub(attempt.sent));
        }
        let mut ending = result_ending(result);
        ending.attempt = Some(attempt.number);
        ending.worker = self.workers.get(attempt.worker).map(|worker| worker.info.name.clone());
        if let Some(usage) = &mut ending.usage {
            usage.queue_ms = millis(queued);
        }
        let is_storable =
            ending.reason.is_replayable() || self.faults.is_active(PlantedFault::ReplayedFailure);
        if is_unclaimed || is_storable && !is_build {
            let info = self.workers.get(attempt.worker).map(|worker| &worker.info);
            let origin = info.filter(|_| is_unclaimed).map(Origin::from);
            let evicted = self.answers.store(key, &ending, origin, self.settings.store_bytes, effects.now);
            (0..evicted).for_each(|_| effects.count(Counter::AnswerEvicted));
        }
        self.finish(index, ending, effects);
    }

    /// Handles a job that a worker gives back. It does not count as an attempt.
    pub(crate) fn on_returned(&mut self, id: WorkerId, returned: &Returned, effects: &mut Effects<'_>) {
        let lane = self.lane_of(returned.token);
        let Some((_, index)) = self.close_attempt(id, returned.token) else {
            return effects.count(Counter::UnknownToken);
        };
        effects.count(Counter::Returned);
        if let Some(worker) = self.workers.get_mut(id) {
            worker.draining |= returned.why == "draining";
        }
        if index.is_some()
            && returned.why != "draining"
            && let Some(lane) = lane
        {
            self.mark_unready(id, lane);
        }
        self.workers.update_rank(id);
        if let Some(index) = index {
            self.retry_or_fail(index, effects);
        }
        self.fill_slots(id, effects);
    }

    fn lane_of(&self, token: Token) -> Option<LaneId> {
        self.jobs.get(self.attempts.get(token)?.job?)?.lane()
    }

    /// Closes an attempt of this worker and frees its slot. Returns the attempt, and its job if that is in flight.
    pub(crate) fn close_attempt(
        &mut self,
        id: WorkerId,
        token: Token,
    ) -> Option<(Attempt, Option<JobIndex>)> {
        let token = self.attempts.get(token).filter(|attempt| attempt.worker == id)?.token;
        let attempt = self.attempts.remove(token)?;
        let leaked = self.faults.is_active(PlantedFault::LeakedSlot) && token.sequence.is_multiple_of(97);
        if let Some(worker) = self.workers.get_mut(id) {
            worker.in_flight.remove(&token);
            let frees_slot = attempt.state != AttemptState::Finished && !leaked;
            worker.busy = worker.busy.saturating_sub(u32::from(frees_slot));
        }
        let index = attempt.job.filter(|index| self.jobs.get(*index).is_some());
        if let Some(job) = index.and_then(|index| self.jobs.get_mut(index)) {
            job.detach(&attempt);
        }
        Some((attempt, index))
    }

    /// Ends a job: answers each waiter and cancels the remaining attempts.
    pub(crate) fn finish(
        &mut self,
        index: JobIndex,
        ending: impl Into<Arc<Ending>>,
        effects: &mut Effects<'_>,
    ) {
        self.dequeue(index);
        let Some(mut job) = self.jobs.remove(index) else { return };
        for token in std::mem::take(&mut job.attempts) {
            self.abandon(token, effects);
        }
        if let Some(id) = job.lane() {
            if let Some(lane) = self.lanes.lane_mut(id) {
                lane.jobs = lane.jobs.saturating_sub(1);
            }
            self.lanes.remove_if_unused(id);
        }
        let ending = ending.into();
        let last = job.waiters.pop();
        for other in job.waiters {
            effects.answer(other.waiter, Arc::clone(&ending));
        }
        if let Some(last) = last {
            let is_faulty = index.0.is_multiple_of(50);
            if is_faulty && self.faults.is_active(PlantedFault::DroppedAnswer) {
                return;
            }
            if is_faulty && self.faults.is_active(PlantedFault::DoubleAnswer) {
                effects.answer(last.waiter, Arc::clone(&ending));
            }
            effects.answer(last.waiter, ending);
        }
    }

    /// Ends all jobs that wait in a lane.
    pub(crate) fn finish_waiting(&mut self, lane: LaneId, ending: Ending, effects: &mut Effects<'_>) {
        let ending = Arc::new(ending);
        let waiting = self.lanes.lane(lane).map(|lane| lane.waiting.clone()).unwrap_or_default();
        for index in waiting {
            self.finish(index, Arc::clone(&ending), effects);
        }
    }

    /// Cancels an attempt that nobody waits for any more. Its slot stays filled until the worker closes it.
    pub(crate) fn abandon(&mut self, token: Token, effects: &mut Effects<'_>) {
        let Some(attempt) = self.attempts.get_mut(token) else { return };
        attempt.job = None;
        let id = attempt.worker;
        let token = attempt.token;
        let is_finished = attempt.state == AttemptState::Finished;
        match self.workers.get(id).and_then(|worker| worker.peer) {
            Some(peer) if !is_finished => effects.send(peer, FromRouter::Cancel(Cancel { token })),
            Some(_) => {}
            None => {
                self.close_attempt(id, token);
                self.forget_if_idle(id);
            }
        }
    }

    /// Forgets a disconnected worker without attempts.
    pub(crate) fn forget_if_idle(&mut self, id: WorkerId) {
        if self.workers.get(id).is_some_and(|worker| worker.peer.is_none() && worker.in_flight.is_empty()) {
            self.forget_worker(id);
        }
    }
}

/// Returns a verdict's reason if workers may give it; the router gives the others itself.
fn reason_of(verdict: &Verdict) -> Option<Reason> {
    let reason = Reason::find(verdict.status_code, &verdict.reason)?;
    matches!(reason.code(), 200 | 400..=403 | 510..=514).then_some(reason)
}

fn result_ending(result: JobResult) -> Ending {
    let JobResult { verdict, usage, response, context, .. } = result;
    let reason = reason_of(&verdict);
    let error_detail =
        reason.is_none().then(|| format!("the worker said {} {:?}", verdict.status_code, verdict.reason));
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
