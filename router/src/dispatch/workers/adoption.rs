//! Compares the jobs that a worker holds with what the router knows: attempts are kept, dropped, or adopted from an
//! earlier start of the router.

use std::collections::BTreeSet;
use std::time::Duration;

use trackyard_protocol::build::BuildLimits;
use trackyard_protocol::channel::Channel;
use trackyard_protocol::limits::Limits;
use trackyard_protocol::request::Tooling;
use trackyard_protocol::token::Token;
use trackyard_protocol::worker::{Cancel, FromRouter, HeldJob, HeldState, Hello};

use super::attempt::{Attempt, AttemptState};
use super::bounds::{MAX_HELD_JOBS, MAX_JOBS_WHEN_ADOPTING};
use crate::dispatch::action::Effects;
use crate::dispatch::ids::{JobIndex, WorkerId};
use crate::dispatch::jobs::Job;
use crate::dispatch::planted_fault::PlantedFault;
use crate::dispatch::{Counter, Dispatch};

impl Dispatch {
    /// Brings the router's attempts in line with the jobs that a worker holds. With `same_connection` no message can
    /// have been lost, so a job that was sent will still arrive.
    pub(crate) fn reconcile(
        &mut self,
        id: WorkerId,
        hello: &Hello,
        same_connection: bool,
        effects: &mut Effects<'_>,
    ) {
        let held: BTreeSet<Token> = hello.jobs.iter().map(|held| held.token).collect();
        let in_flight = self.workers.get(id).map(|worker| worker.in_flight.clone()).unwrap_or_default();
        let mut has_returned = false;
        for job in &hello.jobs {
            match self.attempts.get(job.token).map(|attempt| attempt.worker) {
                Some(owner) if owner == id => has_returned |= self.reattach(id, job.token, Some(job.state)),
                Some(_) => effects.count(Counter::UnknownToken),
                None => self.adopt(id, job, effects),
            }
        }
        for token in in_flight.into_iter().filter(|token| !held.contains(token)) {
            self.on_missing_attempt(id, token, same_connection, effects);
        }
        if has_returned {
            effects.count(Counter::WorkerReturned);
        }
    }

    /// Handles an attempt that the worker does not hold: the job is still on its way, or lost.
    fn on_missing_attempt(
        &mut self,
        id: WorkerId,
        token: Token,
        same_connection: bool,
        effects: &mut Effects<'_>,
    ) {
        let sent = self.attempts.get(token).is_some_and(|attempt| attempt.state == AttemptState::Sent);
        if sent && same_connection {
            self.reattach(id, token, None);
            return;
        }
        // Other jobs already run elsewhere, but a build has waited for its builder.
        if let Some((_, Some(index))) = self.close_attempt(id, token)
            && self.jobs.get(index).is_some_and(Job::is_build)
        {
            self.retry_or_fail(index, effects);
        }
    }

    /// Attaches an attempt to its worker and job again. Returns true if the job had counted it as lost.
    fn reattach(&mut self, id: WorkerId, token: Token, state: Option<HeldState>) -> bool {
        let Some(attempt) = self.attempts.get_mut(token) else { return false };
        let before = attempt.state;
        attempt.state = match state {
            Some(HeldState::Running) => AttemptState::Accepted,
            Some(HeldState::Finished) => AttemptState::Finished,
            None => before,
        };
        let after = attempt.state;
        let counted_lost = std::mem::take(&mut attempt.counted_lost);
        let job = attempt.job.filter(|_| std::mem::take(&mut attempt.detached));
        self.update_busy(id, before, after);
        if let Some(index) = job {
            self.dequeue(index);
            if let Some(job) = self.jobs.get_mut(index) {
                job.live_attempts += 1;
                job.return_deadline = None;
                job.lost_attempts = job.lost_attempts.saturating_sub(u32::from(counted_lost));
            }
            self.jobs.set_timer(index, self.settings.min_start);
        }
        counted_lost
    }

    fn update_busy(&mut self, id: WorkerId, before: AttemptState, after: AttemptState) {
        if let Some(worker) = self.workers.get_mut(id) {
            worker.busy = worker.busy.saturating_sub(u32::from(before != AttemptState::Finished));
            worker.busy += u32::from(after != AttemptState::Finished);
        }
    }

    /// Adopts a job that this start of the router did not send, or cancels it if nobody waits for it.
    fn adopt(&mut self, id: WorkerId, held: &HeldJob, effects: &mut Effects<'_>) {
        if self.faults.is_active(PlantedFault::SkipAdoption) {
            return;
        }
        let foreign = self.attempts.is_foreign(held.token);
        let job = if foreign { self.job_to_adopt(id, held, effects) } else { None };
        match (job, held.state) {
            (Some(index), state) => self.adopt_attempt(id, held.token, state, index, effects),
            (None, HeldState::Running) => self.cancel_unknown(id, held.token, effects),
            (None, HeldState::Finished) => {}
        }
    }

    fn adopt_attempt(
        &mut self,
        id: WorkerId,
        token: Token,
        state: HeldState,
        index: JobIndex,
        effects: &mut Effects<'_>,
    ) {
        effects.count(Counter::Adopted);
        self.dequeue(index);
        let until = effects.now + self.max_adopted_time(id, Some(index));
        let state = match state {
            HeldState::Running => AttemptState::Accepted,
            HeldState::Finished => AttemptState::Finished,
        };
        self.add_attempt(Attempt::new(token, Some(index), id, state, effects.now), until);
    }

    /// Cancels a running job that nobody waits for. Its slot counts as filled until the worker closes the attempt.
    pub(crate) fn cancel_unknown(&mut self, id: WorkerId, token: Token, effects: &mut Effects<'_>) {
        let Some(worker) = self.workers.get(id).filter(|worker| worker.in_flight.len() < MAX_HELD_JOBS)
        else {
            return;
        };
        let Some(peer) = worker.peer else { return };
        // A future token will belong to another attempt, perhaps of another worker; no worker can hold it now.
        if self.attempts.get(token).is_none() && !self.attempts.is_future(token) {
            effects.send(peer, FromRouter::Cancel(Cancel { token }));
            self.add_attempt(Attempt::new(token, None, id, AttemptState::Accepted, effects.now), effects.now);
        }
    }

    /// Returns the job with the same key, or a new one. Returns `None` if its answer is already known, or if the worker
    /// does not serve its track.
    fn job_to_adopt(&mut self, id: WorkerId, held: &HeldJob, effects: &Effects<'_>) -> Option<JobIndex> {
        if let Some(index) = self.jobs.by_key(held.key) {
            let tooling = self.jobs.get(index).and_then(Job::tooling);
            return tooling.is_none_or(|tooling| self.covers(id, tooling)).then_some(index);
        }
        if self.answers.contains(held.key) || self.jobs.len() >= MAX_JOBS_WHEN_ADOPTING {
            return None;
        }
        let until = effects.now + self.max_adopted_time(id, None);
        Some(self.jobs.insert(Job::new(held.key, effects.now, until)))
    }

    /// Drops attempts of an adopted job from workers that do not serve its track, once its request has arrived: their
    /// claims were false. The job runs elsewhere if no attempt is left.
    pub(crate) fn drop_unverified(&mut self, index: JobIndex, effects: &mut Effects<'_>) {
        let Some(job) = self.jobs.get(index) else { return };
        let Some(tooling) = job.tooling() else { return };
        let is_false_claim = |token: &Token| {
            self.attempts.get(*token).is_some_and(|attempt| !self.covers(attempt.worker, tooling))
        };
        let tokens: Vec<Token> = job.attempts.iter().copied().filter(is_false_claim).collect();
        for token in &tokens {
            effects.count(Counter::UnknownToken);
            if let (Some(job), Some(attempt)) = (self.jobs.get_mut(index), self.attempts.get(*token)) {
                job.detach(attempt);
            }
            self.abandon(*token, effects);
        }
        if !tokens.is_empty() {
            self.retry_or_fail(index, effects);
        }
    }

    fn covers(&self, id: WorkerId, tooling: &Tooling) -> bool {
        self.workers.get(id).is_some_and(|worker| worker.info.covers(tooling))
    }

    /// Returns how long an adopted attempt may still take: by its job's limits if they are known, else the maximum.
    fn max_adopted_time(&self, worker: WorkerId, job: Option<JobIndex>) -> Duration {
        let payload = job.and_then(|index| self.jobs.get(index)).and_then(|job| job.payload.as_ref());
        if let Some(payload) = payload {
            return self.max_attempt_time(payload.budget());
        }
        let builds = self.workers.get(worker).is_some_and(|worker| worker.info.channel == Channel::Builders);
        let wall = if builds { BuildLimits::default().wall_max } else { Limits::default().wall_max };
        self.settings.setup + wall.0 + self.settings.grace
    }
}
