//! A worker is lost: its attempts are, unless it comes back, and their jobs run elsewhere.

use trackyard_protocol::reason::Reason;

use trackyard_protocol::channel::{Channel, Topics};

use super::attempt::State;
use super::number::{JobNo, WorkerId};
use super::sabotage::Sabotage;
use super::turn::Turn;
use super::worker::About;
use super::{Counter, Dispatch, Ending, Peer, Time};

/// Workers that are expected back at a time.
const MOST_RETURNING: usize = 1024;

/// A worker that left to bootstrap again.
#[derive(Debug)]
pub(crate) struct Returning {
    pub(crate) until: Time,
    pub(crate) channel: Channel,
    pub(crate) topics: Topics,
}

impl Dispatch {
    /// A connection died.
    pub(crate) fn gone(&mut self, peer: Peer, turn: &mut Turn<'_>) {
        if let Some(id) = self.workers.by_peer(peer) {
            self.lose(id, turn);
        }
    }

    /// A worker fell silent or its connection died. It may come back with its jobs; until then they run elsewhere.
    pub(crate) fn lose(&mut self, id: WorkerId, turn: &mut Turn<'_>) {
        turn.count(Counter::WorkerLost);
        let stranded = self.strand(id);
        self.part(id, turn.now);
        self.forget_if_empty(id);
        for no in stranded {
            self.run_on(no, turn);
        }
    }

    /// A worker said goodbye, or another start took its name: what it held never comes back.
    pub(crate) fn retire(&mut self, id: WorkerId, turn: &Turn<'_>) -> Vec<JobNo> {
        let connected = self.workers.get(id).is_some_and(|worker| worker.peer.is_some());
        let stranded = if connected { self.strand(id) } else { Vec::new() };
        self.part(id, turn.now);
        let held: Vec<_> = self.workers.get(id).map(|w| w.hand.iter().copied().collect()).unwrap_or_default();
        for token in held {
            self.close(id, token);
        }
        self.forget_worker(id);
        stranded
    }

    /// Takes a worker's attempts from their jobs' hands, without closing them: it may come back with them. Only
    /// what it had accepted counts as lost.
    pub(crate) fn strand(&mut self, id: WorkerId) -> Vec<JobNo> {
        let mut jobs = Vec::new();
        let hand = self.workers.get(id).map(|worker| worker.hand.clone()).unwrap_or_default();
        for token in hand {
            let Some(attempt) = self.attempts.get_mut(token) else { continue };
            let Some(job) = attempt.job.and_then(|no| self.jobs.get_mut(no)) else { continue };
            job.live = job.live.saturating_sub(1);
            attempt.stranded = true;
            attempt.blamed = attempt.state == State::Accepted;
            job.lost += u32::from(attempt.blamed);
            jobs.extend(attempt.job);
        }
        jobs
    }

    /// Jobs wait for a worker that left to bootstrap again.
    fn expect_back(&mut self, id: WorkerId, now: Time) {
        if let Some(worker) = self.workers.get(id).filter(|worker| worker.returning && worker.peer.is_some())
            && self.returning.len() < MOST_RETURNING
        {
            let About { channel, topics, .. } = &worker.about;
            let until = now + self.settings.queue_max_wait;
            self.returning.push(Returning { until, channel: *channel, topics: topics.clone() });
        }
    }

    /// Ends a worker's connection. Attempts that nobody waits for are closed: their worker's slots are gone.
    fn part(&mut self, id: WorkerId, now: Time) {
        self.expect_back(id, now);
        self.detach_lanes(id);
        self.workers.connect(id, None);
        self.workers.refit(id);
        let hand = self.workers.get(id).map(|worker| worker.hand.clone()).unwrap_or_default();
        for token in hand {
            if self.attempts.get(token).is_some_and(|attempt| attempt.job.is_none()) {
                self.close(id, token);
            }
        }
    }

    /// A job of which attempts were lost: it waits for those still running, runs elsewhere, or ends.
    pub(crate) fn run_on(&mut self, no: JobNo, turn: &mut Turn<'_>) {
        let Some(job) = self.jobs.get(no).filter(|job| job.live == 0 && !job.queued) else { return };
        if job.is_build() {
            return self.run_build_on(no, turn);
        }
        let sabotaged = self.saboteur.does(Sabotage::ThirdAttempt);
        if job.lost >= self.settings.max_attempts + u32::from(sabotaged) {
            self.poison.remember(job.key, turn.now);
            turn.count(Counter::Poisoned);
            let message = format!("{} workers were lost while they ran this job", job.lost);
            return self.finish(no, Ending::new(Reason::Poison, message), turn);
        }
        self.run_elsewhere(no, turn);
    }

    /// A build is never run twice: its builder may come back with it for a while. One that did not even reach its
    /// builder may go to another.
    fn run_build_on(&mut self, no: JobNo, turn: &mut Turn<'_>) {
        let Some(job) = self.jobs.get_mut(no) else { return };
        if !job.attempts.is_empty() {
            job.back_until = Some(turn.now + self.settings.build_return);
            return self.jobs.arm(no, self.settings.min_start);
        }
        if job.lost == 0 {
            return self.run_elsewhere(no, turn);
        }
        let message = "the builder was lost; the build may or may not have been released";
        self.finish(no, Ending::new(Reason::WorkerLost, message), turn);
    }

    /// Sends a job that no worker has in hand to another, or lets it wait again, as far as its time goes.
    pub(crate) fn run_elsewhere(&mut self, no: JobNo, turn: &mut Turn<'_>) {
        let Some(job) = self.jobs.get(no).filter(|job| job.live == 0 && !job.queued) else { return };
        let last_start = job.whole_until.saturating_sub(self.settings.min_start);
        let wait = job
            .work
            .as_ref()
            .map_or(Time::ZERO, |work| self.queue_wait(work.effort(), &work.place, work.lane));
        let Some(job) = self.jobs.get_mut(no) else { return };
        job.queue_until = last_start.min(turn.now + wait);
        // Somebody must still be there when it starts.
        let in_time = turn.now < job.patience().saturating_sub(self.settings.min_start);
        let lost = job.lost > 0;
        match self.obstacle(no, in_time, lost) {
            Some(ending) => self.finish(no, ending, turn),
            None => self.place_job(no, turn),
        }
    }

    /// Why a job cannot run again, if so.
    fn obstacle(&self, no: JobNo, in_time: bool, lost: bool) -> Option<Ending> {
        let job = self.jobs.get(no)?;
        let Some(work) = &job.work else {
            return Some(Ending::new(Reason::WorkerLost, ""));
        };
        let usable = self.lanes.lane(work.lane).is_some_and(|lane| lane.deployed || lane.version.is_none());
        if self.draining {
            Some(Ending::new(Reason::RouterDraining, ""))
        } else if !in_time {
            Some(Ending::new(if lost { Reason::WorkerLost } else { Reason::QueueDeadline }, ""))
        } else if self.deployed.is_some() && !usable {
            Some(Ending::new(Reason::NotDeployed, "the version was unloaded before the job could run again"))
        } else {
            None
        }
    }
}
