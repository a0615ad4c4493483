//! Assignment: which worker gets a job, and which job gets a free slot.

use std::time::Duration;

use trackyard_protocol::channel::Channel;
use trackyard_protocol::request::Tooling;

use crate::dispatch::action::Effects;
use crate::dispatch::ids::{JobIndex, LaneId, TrackId, WorkerId};
use crate::dispatch::jobs::Job;
use crate::dispatch::planted_fault::PlantedFault;
use crate::dispatch::workers::{Attempt, AttemptState, Worker};
use crate::dispatch::{Counter, Dispatch, Time, TimeBudget};

/// Maximum number of workers with a version ready that are compared one by one. With more of them the ranking is searched
/// instead, where a match comes soon.
const MAX_COMPARED_WORKERS: usize = 16;

impl Dispatch {
    /// Sends a job to a worker with a free slot, or puts it into the queue.
    pub(crate) fn dispatch_or_queue(&mut self, index: JobIndex, effects: &mut Effects<'_>) {
        let Some(lane) = self.jobs.get(index).and_then(Job::lane) else { return };
        match self.choose_worker(lane) {
            Some(worker) => self.send_job(index, worker, effects),
            None => self.enqueue(index, lane, effects),
        }
    }

    /// Returns the worker for a lane's next job: scoped before generic, then most free slots, then least recently used.
    pub(crate) fn choose_worker(&self, lane: LaneId) -> Option<WorkerId> {
        let must_wait = self.recovering && !self.faults.is_active(PlantedFault::HastyStart);
        let entry = self.lanes.lane(lane).filter(|_| !must_wait)?;
        let track = entry.track;
        let channel = self.lanes.track(track)?.tooling.channel;
        if entry.version.is_none() {
            return self.workers.ranking.candidates(channel, track).next().map(|rank| rank.worker);
        }
        if entry.ready.len() > MAX_COMPARED_WORKERS {
            let mut candidates = self.workers.ranking.candidates(channel, track).map(|rank| rank.worker);
            return candidates.find(|worker| entry.ready.contains(worker));
        }
        let ready = entry.ready.iter().filter_map(|id| Some((*id, self.workers.get(*id)?)));
        let candidates =
            ready.filter_map(|(id, worker)| Some((!worker.is_scoped_to(track), worker.rank()?, id)));
        candidates.min().map(|(_, _, id)| id)
    }

    fn enqueue(&mut self, index: JobIndex, lane: LaneId, effects: &mut Effects<'_>) {
        let Some(job) = self.jobs.get_mut(index) else { return };
        job.queued = true;
        self.lanes.push(lane, index, job.bytes());
        self.jobs.set_timer(index, self.settings.min_start);
        self.prioritize(lane, effects);
    }

    /// Takes a job out of the queue, if it waits.
    pub(crate) fn dequeue(&mut self, index: JobIndex) {
        let Some(job) = self.jobs.get_mut(index).filter(|job| job.queued) else { return };
        job.queued = false;
        if let Some(lane) = job.lane() {
            self.lanes.remove(lane, index, job.bytes());
        }
    }

    /// Fills a worker's free slots with the oldest job of each track in turn that the worker serves and has ready.
    pub(crate) fn fill_slots(&mut self, id: WorkerId, effects: &mut Effects<'_>) {
        while let Some((track, index)) = self.next_job_for(id) {
            if self.expire_if_due(index, effects) {
                continue;
            }
            self.dequeue(index);
            self.lanes.move_to_back(track);
            self.send_job(index, id, effects);
        }
    }

    fn next_job_for(&self, id: WorkerId) -> Option<(TrackId, JobIndex)> {
        let worker = self.workers.get(id).filter(|worker| !self.recovering && worker.rank().is_some())?;
        let mut tracks = self.lanes.tracks_in_turn(worker.info.channel);
        tracks.find_map(|track| Some((track, self.oldest_job_for(worker, track)?)))
    }

    fn oldest_job_for(&self, worker: &Worker, track: TrackId) -> Option<JobIndex> {
        if !worker.serves(worker.info.channel, track) {
            return None;
        }
        let builds = self.lanes.track(track)?.builds;
        let is_usable = |lane| worker.ready.contains(&lane) || builds == Some(lane);
        self.lanes.oldest(track, is_usable).map(|(_, index)| index)
    }

    /// Dispatches the waiting jobs of a channel while slots are free. Used when many slots become free at once.
    pub(crate) fn dispatch_waiting(&mut self, channel: Channel, effects: &mut Effects<'_>) {
        let mut sent = true;
        while sent {
            sent = false;
            let tracks: Vec<TrackId> = self.lanes.tracks_in_turn(channel).collect();
            for track in tracks {
                sent |= self.dispatch_oldest(track, effects);
            }
        }
    }

    fn dispatch_oldest(&mut self, track: TrackId, effects: &mut Effects<'_>) -> bool {
        let Some((lane, index)) = self.lanes.oldest(track, |lane| self.choose_worker(lane).is_some()) else {
            return false;
        };
        let Some(worker) = self.choose_worker(lane) else { return false };
        if !self.expire_if_due(index, effects) {
            self.dequeue(index);
            self.lanes.move_to_back(track);
            self.send_job(index, worker, effects);
        }
        true
    }

    fn send_job(&mut self, index: JobIndex, id: WorkerId, effects: &mut Effects<'_>) {
        let token = self.attempts.next_token();
        let Some(job) = self.jobs.get(index) else { return };
        let Some(payload) = &job.payload else { return };
        let total = self.max_attempt_time(payload.budget());
        let Some(peer) = self.workers.get(id).and_then(|worker| worker.peer) else { return };
        let number = job.lost_attempts + 1;
        let deadline = (effects.now + total).min(job.latest_deadline());
        let time_left = deadline.saturating_sub(effects.now);
        effects.send(peer, payload.message(token, number, self.settings.setup, time_left));
        effects.count(if job.lost_attempts > 0 { Counter::Redelivered } else { Counter::Dispatched });
        let attempt =
            Attempt { number, ..Attempt::new(token, Some(index), id, AttemptState::Sent, effects.now) };
        self.add_attempt(attempt, effects.now + total);
        self.workers.mark_used(id);
        self.workers.update_rank(id);
    }

    /// Adds an attempt to its worker and its job. `until` is the attempt's deadline.
    pub(crate) fn add_attempt(&mut self, attempt: Attempt, until: Time) {
        if let Some(worker) = self.workers.get_mut(attempt.worker) {
            worker.in_flight.insert(attempt.token);
            worker.busy += u32::from(attempt.state != AttemptState::Finished);
        }
        if let Some(index) = attempt.job
            && let Some(job) = self.jobs.get_mut(index)
        {
            job.live_attempts += 1;
            job.attempts.push(attempt.token);
            job.attempt_deadline =
                if job.live_attempts > 1 { job.attempt_deadline.max(until) } else { until };
            self.jobs.set_timer(index, self.settings.min_start);
        }
        self.attempts.insert(attempt);
    }

    /// Returns the maximum duration of one attempt.
    pub(crate) fn max_attempt_time(&self, budget: TimeBudget) -> Duration {
        let setup = if budget.is_build { Duration::ZERO } else { self.settings.setup };
        setup + budget.wall + self.settings.grace
    }

    /// Returns how long a job may wait: a build as long as its wall-clock limit; a job whose version no worker has ready,
    /// as long as its pool may take to start a worker.
    pub(crate) fn max_queue_wait(&self, budget: TimeBudget, tooling: &Tooling, lane: LaneId) -> Duration {
        let default = self.settings.queue_max_wait;
        if budget.is_build {
            budget.wall
        } else if self.lanes.lane(lane).is_some_and(|lane| !lane.ready.is_empty()) {
            default
        } else {
            self.settings.cold_start(tooling).map_or(default, |cold_start| cold_start.max(default))
        }
    }

    /// Returns the maximum duration of all attempts together.
    pub(crate) fn max_total_time(&self, budget: TimeBudget) -> Duration {
        let attempts = if budget.is_build { 1 } else { self.settings.max_attempts };
        self.max_attempt_time(budget) * attempts
    }
}
