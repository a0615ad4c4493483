//! A job arrives: it joins one in flight, gets a stored answer, is refused, goes to a worker, or waits.

use trackyard_protocol::reason::Reason;

use super::job::{Job, JobWaiter};
use super::payload::Payload;
use crate::dispatch::action::Effects;
use crate::dispatch::ids::{JobIndex, LaneId, TrackId};
use crate::dispatch::planted_fault::PlantedFault;
use crate::dispatch::{Counter, Dispatch, Ending, NewJob, Waiter};

impl Dispatch {
    /// Handles a request for a job.
    pub(crate) fn on_job(&mut self, waiter: Waiter, new: Box<NewJob>, effects: &mut Effects<'_>) {
        if let Some(index) = self.jobs.by_key(new.key) {
            return self.join(index, waiter, new, effects);
        }
        if let Some(answer) = self.answers.claim(new.key, new.tooling(), new.wants_fresh()) {
            if answer.replayed {
                effects.count(Counter::Replayed);
            }
            return effects.answer(waiter, answer);
        }
        let lane = self.lanes.find(new.tooling(), new.version());
        if let Some(ending) = self.refusal(&new, lane, effects) {
            return effects.answer(waiter, ending);
        }
        self.accept(waiter, new, lane, effects);
    }

    /// Returns why a job cannot be accepted, if so. May end another job to make room.
    fn refusal(&mut self, new: &NewJob, lane: Option<LaneId>, effects: &mut Effects<'_>) -> Option<Ending> {
        let tooling = new.tooling();
        if self.draining {
            return Some(Ending::new(Reason::RouterDraining, ""));
        }
        if self.poison.contains(new.key) {
            return Some(Ending::new(Reason::Poison, ""));
        }
        if new.deadline().is_some_and(|deadline| deadline < self.settings.min_start) {
            return Some(Ending::new(Reason::Deadline, "deadline_ms is too short to start the job"));
        }
        let track = lane.and_then(|lane| self.lanes.lane(lane)).map(|lane| lane.track);
        let served = track.is_some_and(|track| self.workers.ranking.is_served(tooling.channel, Some(track)));
        if !served && !self.recovering && !self.is_servable(tooling) {
            return Some(Ending::no_worker(tooling));
        }
        if let Some(failure) = lane.and_then(|lane| self.failure_on_all_workers(lane)) {
            return Some(failure);
        }
        let has_room = self.make_room(new, lane, effects);
        (!has_room).then(|| Ending::new(Reason::QueueFull, ""))
    }

    /// Makes room in the queue by ending the newest job of the longest track. Returns false if the new job is that one.
    fn make_room(&mut self, new: &NewJob, lane: Option<LaneId>, effects: &mut Effects<'_>) -> bool {
        let max_jobs = self.settings.queue_max_jobs;
        let max_bytes = self.settings.queue_max_bytes;
        loop {
            let over_bytes = self.lanes.bytes() + new.bytes > max_bytes;
            // A job for which a slot is free does not enter the queue.
            if self.lanes.waiting() < max_jobs && !over_bytes
                || lane.is_some_and(|lane| self.choose_worker(lane).is_some())
            {
                return true;
            }
            let own = self.lanes.track_id(new.tooling());
            let added = if over_bytes { new.bytes } else { 1 };
            let longest = self.longest_track(own, added, over_bytes);
            let Some(victim) = longest.and_then(|track| self.lanes.newest(track)) else { return false };
            self.finish(victim, Ending::new(Reason::QueueFull, ""), effects);
        }
    }

    /// Returns the longest track, unless track `own` would be as long with the new job.
    fn longest_track(&self, own: Option<TrackId>, added: usize, by_bytes: bool) -> Option<TrackId> {
        let length = |id: TrackId| {
            let track = self.lanes.track(id)?;
            Some(if by_bytes { track.bytes } else { track.waiting })
        };
        let own_length = own.and_then(length).unwrap_or(0) + added;
        let tracks = self.lanes.waiting_tracks().filter_map(|(id, _)| Some((length(id)?, id)));
        tracks.max().filter(|(longest, _)| *longest > own_length).map(|(_, id)| id)
    }

    /// Accepts a job. `lane` existed when the job arrived, and may have been removed while room was made.
    fn accept(&mut self, waiter: Waiter, new: Box<NewJob>, lane: Option<LaneId>, effects: &mut Effects<'_>) {
        let lane = lane.filter(|lane| self.lanes.lane(*lane).is_some());
        let lane = lane.unwrap_or_else(|| self.lanes.get_or_create(new.tooling(), new.version()));
        let budget = new.budget();
        let wait = self.max_queue_wait(budget, new.tooling(), lane);
        let mut job = Job::new(new.key, effects.now, effects.now + wait + self.max_total_time(budget));
        job.queue_deadline = effects.now + wait;
        let mut waiter = job_waiter(waiter, &new, effects);
        waiter.deadline = waiter.deadline.filter(|_| !self.faults.is_active(PlantedFault::LateAnswer));
        job.waiters.push(waiter);
        job.payload = self.new_payload(*new, lane);
        let index = self.jobs.insert(job);
        self.dispatch_or_queue(index, effects);
    }

    /// Creates a job's payload and counts the job in its lane.
    fn new_payload(&mut self, new: NewJob, id: LaneId) -> Option<Payload> {
        let lane = self.lanes.lane_mut(id)?;
        lane.jobs += 1;
        Some(Payload::new(new, id, lane))
    }

    /// Lets a request wait for a job in flight.
    fn join(&mut self, index: JobIndex, waiter: Waiter, new: Box<NewJob>, effects: &mut Effects<'_>) {
        if self.jobs.waiters() >= self.jobs.len() + self.settings.queue_max_jobs {
            return effects
                .answer(waiter, Ending::new(Reason::QueueFull, "too many requests wait for the same jobs"));
        }
        effects.count(Counter::Joined);
        self.jobs.join(index, job_waiter(waiter, &new, effects));
        self.claim_adopted(index, new, effects);
        self.jobs.set_timer(index, self.settings.min_start);
    }

    /// Gives an adopted job the request of the first client that asks for it again. From then on it can run elsewhere.
    fn claim_adopted(&mut self, index: JobIndex, new: Box<NewJob>, effects: &mut Effects<'_>) {
        if self.jobs.get(index).is_none_or(|job| job.payload.is_some()) {
            return;
        }
        let lane = self.lanes.get_or_create(new.tooling(), new.version());
        let budget = new.budget();
        let total = self.max_queue_wait(budget, new.tooling(), lane) + self.max_total_time(budget);
        let attempt = self.max_attempt_time(budget);
        let payload = self.new_payload(*new, lane);
        let Some(job) = self.jobs.get_mut(index) else { return };
        job.received = effects.now;
        job.overall_deadline = effects.now + total;
        job.attempt_deadline = effects.now + attempt;
        job.payload = payload;
        self.drop_unverified(index, effects);
    }
}

fn job_waiter(waiter: Waiter, new: &NewJob, effects: &Effects<'_>) -> JobWaiter {
    JobWaiter { waiter, deadline: new.deadline().map(|deadline| effects.now + deadline) }
}
