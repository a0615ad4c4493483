//! Which worker gets a job, and which job a free slot.

use std::time::Duration;

use trackyard_protocol::channel::Channel;
use trackyard_protocol::request::Place;

use crate::dispatch::action::Turn;
use crate::dispatch::ids::{JobNo, LaneId, TrackId, WorkerId};
use crate::dispatch::jobs::Job;
use crate::dispatch::log::Tail;
use crate::dispatch::planted_fault::Sabotage;
use crate::dispatch::workers::Worker;
use crate::dispatch::workers::attempt::{Attempt, State};
use crate::dispatch::{Counter, Dispatch, Effort, Time};

/// Up to so many workers that have a version ready are compared one by one; beyond, the pools are walked, where
/// one of many is soon found.
const FEW: usize = 16;

impl Dispatch {
    /// Sends a job to a worker, or lets it wait.
    pub(crate) fn place_job(&mut self, no: JobNo, turn: &mut Turn<'_>) {
        let Some(lane) = self.jobs.get(no).and_then(Job::lane) else { return };
        match self.choose(lane) {
            Some(worker) => self.send_job(no, worker, turn),
            None => self.enqueue(no, lane, turn),
        }
    }

    /// The worker for a lane's next job: scoped before generic, most free slots, least recently used.
    pub(crate) fn choose(&self, lane: LaneId) -> Option<WorkerId> {
        let waits = self.recovering && !self.saboteur.does(Sabotage::HastyStart);
        let lane_of = self.lanes.lane(lane).filter(|_| !waits)?;
        let track = lane_of.track;
        let channel = self.lanes.track(track)?.place.channel;
        if lane_of.version.is_none() {
            return self.workers.pools.free(channel, track).next().map(|free| free.worker);
        }
        if lane_of.ready.len() > FEW {
            let mut free = self.workers.pools.free(channel, track).map(|free| free.worker);
            return free.find(|worker| lane_of.ready.contains(worker));
        }
        let ready = lane_of.ready.iter().filter_map(|id| Some((*id, self.workers.get(*id)?)));
        let free = ready.filter_map(|(id, worker)| Some((!worker.is_scoped_to(track), worker.fit()?, id)));
        free.min().map(|(_, _, id)| id)
    }

    fn enqueue(&mut self, no: JobNo, lane: LaneId, turn: &mut Turn<'_>) {
        let Some(job) = self.jobs.get_mut(no) else { return };
        job.queued = true;
        self.lanes.push(lane, no, job.bytes());
        self.jobs.arm(no, self.settings.min_start);
        self.urge(lane, turn);
    }

    /// Takes a job out of its queue.
    pub(crate) fn dequeue(&mut self, no: JobNo) {
        let Some(job) = self.jobs.get_mut(no).filter(|job| job.queued) else { return };
        job.queued = false;
        if let Some(lane) = job.lane() {
            self.lanes.take(lane, no, job.bytes());
        }
    }

    /// Fills a worker's free slots: the next track in turn that it serves and has ready, that track's oldest job.
    pub(crate) fn fill(&mut self, id: WorkerId, turn: &mut Turn<'_>) {
        while let Some((track, no)) = self.next_for(id) {
            if self.expire_if_due(no, turn) {
                continue;
            }
            self.dequeue(no);
            self.lanes.pass_turn(track);
            self.send_job(no, id, turn);
        }
    }

    fn next_for(&self, id: WorkerId) -> Option<(TrackId, JobNo)> {
        let worker = self.workers.get(id).filter(|worker| !self.recovering && worker.fit().is_some())?;
        let mut turns = self.lanes.turns(worker.about.channel);
        turns.find_map(|track| Some((track, self.oldest_for(worker, track)?)))
    }

    fn oldest_for(&self, worker: &Worker, track: TrackId) -> Option<JobNo> {
        if !worker.serves(worker.about.channel, track) {
            return None;
        }
        let builds = self.lanes.track(track)?.builds;
        let usable = |lane| worker.ready.contains(&lane) || builds == Some(lane);
        self.lanes.oldest(track, usable).map(|(_, no)| no)
    }

    /// Gives all waiting jobs of a channel their workers, as far as slots go: used when many became free at once.
    pub(crate) fn pump(&mut self, channel: Channel, turn: &mut Turn<'_>) {
        let mut sent = true;
        while sent {
            sent = false;
            let tracks: Vec<TrackId> = self.lanes.turns(channel).collect();
            for track in tracks {
                sent |= self.send_oldest(track, turn);
            }
        }
    }

    fn send_oldest(&mut self, track: TrackId, turn: &mut Turn<'_>) -> bool {
        let Some((lane, no)) = self.lanes.oldest(track, |lane| self.choose(lane).is_some()) else {
            return false;
        };
        let Some(worker) = self.choose(lane) else { return false };
        if !self.expire_if_due(no, turn) {
            self.dequeue(no);
            self.lanes.pass_turn(track);
            self.send_job(no, worker, turn);
        }
        true
    }

    fn send_job(&mut self, no: JobNo, id: WorkerId, turn: &mut Turn<'_>) {
        let token = self.attempts.next_token();
        let Some(job) = self.jobs.get(no) else { return };
        let Some(work) = &job.work else { return };
        let total = self.attempt_total(work.effort());
        let Some(peer) = self.workers.get(id).and_then(|worker| worker.peer) else { return };
        let number = job.lost + 1;
        let until = (turn.now + total).min(job.patience());
        let left = until.saturating_sub(turn.now);
        turn.send(peer, work.message(token, number, self.settings.setup, left));
        turn.count(if job.lost > 0 { Counter::Redelivered } else { Counter::Dispatched });
        let attempt = Attempt {
            token,
            job: Some(no),
            worker: id,
            state: State::Sent,
            number,
            sent: turn.now,
            stranded: false,
            blamed: false,
            log: Tail::default(),
        };
        self.open(attempt, turn.now + total);
        self.workers.use_now(id);
        self.workers.refit(id);
    }

    /// Puts an attempt into a worker's hand.
    pub(crate) fn open(&mut self, attempt: Attempt, until: Time) {
        if let Some(worker) = self.workers.get_mut(attempt.worker) {
            worker.hand.insert(attempt.token);
            worker.busy += u32::from(attempt.state != State::Finished);
        }
        if let Some(no) = attempt.job
            && let Some(job) = self.jobs.get_mut(no)
        {
            job.live += 1;
            job.attempts.push(attempt.token);
            job.attempt_until = if job.live > 1 { job.attempt_until.max(until) } else { until };
            self.jobs.arm(no, self.settings.min_start);
        }
        self.attempts.insert(attempt);
    }

    /// The longest that one attempt may take.
    pub(crate) fn attempt_total(&self, effort: Effort) -> Duration {
        let setup = if effort.is_build { Duration::ZERO } else { self.settings.setup };
        setup + effort.wall + self.settings.grace
    }

    /// How long a job may wait: a build as long as it may take; a job for whose version no worker is there yet, as
    /// long as its pool may take to start one.
    pub(crate) fn queue_wait(&self, effort: Effort, place: &Place, lane: LaneId) -> Duration {
        let usual = self.settings.queue_max_wait;
        if effort.is_build {
            effort.wall
        } else if self.lanes.lane(lane).is_some_and(|lane| !lane.ready.is_empty()) {
            usual
        } else {
            self.settings.cold_start(place).map_or(usual, |cold| cold.max(usual))
        }
    }

    /// The longest that all attempts may take.
    pub(crate) fn attempts_total(&self, effort: Effort) -> Duration {
        let attempts = if effort.is_build { 1 } else { self.settings.max_attempts };
        self.attempt_total(effort) * attempts
    }
}
