//! What a worker says that it holds, against what the router knows: attempts are kept, dropped, or taken over from
//! an earlier start of the router.

use std::collections::BTreeSet;
use std::time::Duration;

use trackyard_protocol::build::BuildLimits;
use trackyard_protocol::channel::Channel;
use trackyard_protocol::limits::Limits;
use trackyard_protocol::request::Place;
use trackyard_protocol::token::Token;
use trackyard_protocol::worker::{Cancel, FromRouter, HeldJob, HeldState, Hello};

use super::attempt::{Attempt, State};
use super::bounds::{MAX_HELD_JOBS, MAX_JOBS_WHEN_ADOPTING};
use crate::dispatch::action::Turn;
use crate::dispatch::ids::{JobNo, WorkerId};
use crate::dispatch::jobs::Job;
use crate::dispatch::planted_fault::Sabotage;
use crate::dispatch::{Counter, Dispatch};

impl Dispatch {
    /// `same_connection`: nothing can have been lost on the way, a job that was sent will still arrive.
    pub(crate) fn reconcile(
        &mut self,
        id: WorkerId,
        hello: &Hello,
        same_connection: bool,
        turn: &mut Turn<'_>,
    ) {
        let held: BTreeSet<Token> = hello.jobs.iter().map(|held| held.token).collect();
        let hand = self.workers.get(id).map(|worker| worker.hand.clone()).unwrap_or_default();
        let mut returned = false;
        for job in &hello.jobs {
            match self.attempts.get(job.token).map(|attempt| attempt.worker) {
                Some(owner) if owner == id => returned |= self.keep(id, job.token, Some(job.state)),
                Some(_) => turn.count(Counter::UnknownToken),
                None => self.adopt(id, job, turn),
            }
        }
        for token in hand.into_iter().filter(|token| !held.contains(token)) {
            self.settle_absent(id, token, same_connection, turn);
        }
        if returned {
            turn.count(Counter::WorkerReturned);
        }
    }

    /// An attempt that the worker does not hold: on its way, or lost.
    fn settle_absent(&mut self, id: WorkerId, token: Token, same_connection: bool, turn: &mut Turn<'_>) {
        let sent = self.attempts.get(token).is_some_and(|attempt| attempt.state == State::Sent);
        if sent && same_connection {
            self.keep(id, token, None);
            return;
        }
        // Other jobs run elsewhere already, but a build has waited for its builder.
        if let Some((_, Some(no))) = self.close(id, token)
            && self.jobs.get(no).is_some_and(Job::is_build)
        {
            self.run_on(no, turn);
        }
    }

    /// A stranded attempt is back in the worker's hand. True if its job had counted it as lost.
    fn keep(&mut self, id: WorkerId, token: Token, state: Option<HeldState>) -> bool {
        let Some(attempt) = self.attempts.get_mut(token) else { return false };
        let before = attempt.state;
        attempt.state = match state {
            Some(HeldState::Running) => State::Accepted,
            Some(HeldState::Finished) => State::Finished,
            None => before,
        };
        let after = attempt.state;
        let blamed = std::mem::take(&mut attempt.blamed);
        let job = attempt.job.filter(|_| std::mem::take(&mut attempt.stranded));
        self.count_slot(id, before, after);
        if let Some(no) = job {
            self.dequeue(no);
            if let Some(job) = self.jobs.get_mut(no) {
                job.live += 1;
                job.back_until = None;
                job.lost = job.lost.saturating_sub(u32::from(blamed));
            }
            self.jobs.arm(no, self.settings.min_start);
        }
        blamed
    }

    fn count_slot(&mut self, id: WorkerId, before: State, after: State) {
        if let Some(worker) = self.workers.get_mut(id) {
            worker.busy = worker.busy.saturating_sub(u32::from(before != State::Finished));
            worker.busy += u32::from(after != State::Finished);
        }
    }

    /// A job that this worker was not given in this start of the router, or that is over.
    fn adopt(&mut self, id: WorkerId, held: &HeldJob, turn: &mut Turn<'_>) {
        if self.saboteur.does(Sabotage::SkipAdoption) {
            return;
        }
        let foreign = self.attempts.is_foreign(held.token);
        let job = if foreign { self.adopting_job(id, held, turn) } else { None };
        match (job, held.state) {
            (Some(no), state) => self.take_over(id, held.token, state, no, turn),
            (None, HeldState::Running) => self.disown(id, held.token, turn),
            (None, HeldState::Finished) => {}
        }
    }

    fn take_over(&mut self, id: WorkerId, token: Token, state: HeldState, no: JobNo, turn: &mut Turn<'_>) {
        turn.count(Counter::Adopted);
        self.dequeue(no);
        let until = turn.now + self.adopted_life(id, Some(no));
        let state = match state {
            HeldState::Running => State::Accepted,
            HeldState::Finished => State::Finished,
        };
        self.open(Attempt::held(token, Some(no), id, state, turn.now), until);
    }

    /// The worker runs what nobody waits for: it is told so, and its slot is filled until it says that it is not.
    pub(crate) fn disown(&mut self, id: WorkerId, token: Token, turn: &mut Turn<'_>) {
        let Some(worker) = self.workers.get(id).filter(|worker| worker.hand.len() < MAX_HELD_JOBS) else {
            return;
        };
        let Some(peer) = worker.peer else { return };
        // A token to come will be another attempt's, maybe another worker's: nobody can hold it now.
        if self.attempts.get(token).is_none() && !self.attempts.is_to_come(token) {
            turn.send(peer, FromRouter::Cancel(Cancel { token }));
            self.open(Attempt::held(token, None, id, State::Accepted, turn.now), turn.now);
        }
    }

    /// The job with the same key, waiting, running or made now; none if its answer is known already, or if the worker
    /// serves no job like it.
    fn adopting_job(&mut self, id: WorkerId, held: &HeldJob, turn: &Turn<'_>) -> Option<JobNo> {
        if let Some(no) = self.jobs.by_key(held.key) {
            let place = self.jobs.get(no).and_then(Job::place);
            return place.is_none_or(|place| self.covers(id, place)).then_some(no);
        }
        if self.answers.has(held.key) || self.jobs.len() >= MAX_JOBS_WHEN_ADOPTING {
            return None;
        }
        let until = turn.now + self.adopted_life(id, None);
        Some(self.jobs.insert(Job::new(held.key, turn.now, until)))
    }

    /// Of a job that was known by its key alone the request has come: attempts of workers that serve no job like it
    /// were made up, and without them it may have to run.
    pub(crate) fn drop_made_up(&mut self, no: JobNo, turn: &mut Turn<'_>) {
        let Some(job) = self.jobs.get(no) else { return };
        let Some(place) = job.place() else { return };
        let of = |token: &Token| self.attempts.get(*token).map(|attempt| attempt.worker);
        let made_up = |token: &Token| of(token).is_some_and(|worker| !self.covers(worker, place));
        let tokens: Vec<Token> = job.attempts.iter().copied().filter(made_up).collect();
        for token in &tokens {
            turn.count(Counter::UnknownToken);
            if let (Some(job), Some(attempt)) = (self.jobs.get_mut(no), self.attempts.get(*token)) {
                job.let_go(attempt);
            }
            self.abandon(*token, turn);
        }
        if !tokens.is_empty() {
            self.run_on(no, turn);
        }
    }

    fn covers(&self, id: WorkerId, place: &Place) -> bool {
        self.workers.get(id).is_some_and(|worker| worker.about.covers(place))
    }

    /// How long an adopted attempt may still take: what its job's limits say if they are known.
    fn adopted_life(&self, worker: WorkerId, job: Option<JobNo>) -> Duration {
        let work = job.and_then(|no| self.jobs.get(no)).and_then(|job| job.work.as_ref());
        if let Some(work) = work {
            return self.attempt_total(work.effort());
        }
        let builds = self.workers.get(worker).is_some_and(|worker| worker.about.channel == Channel::Builders);
        let unknown = if builds { BuildLimits::default().wall_max } else { Limits::default().wall_max };
        self.settings.setup + unknown.0 + self.settings.grace
    }
}
