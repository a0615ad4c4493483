//! A job arrives: joined to one in flight, answered from the store, refused, sent to a worker, or let wait.

use trackyard_protocol::reason::Reason;

use super::job::{Job, Waiting};
use super::payload::Work;
use crate::dispatch::action::Turn;
use crate::dispatch::ids::{JobNo, LaneId, TrackId};
use crate::dispatch::planted_fault::Sabotage;
use crate::dispatch::{Counter, Dispatch, Ending, NewJob, Waiter};

impl Dispatch {
    pub(crate) fn arrive(&mut self, waiter: Waiter, new: Box<NewJob>, turn: &mut Turn<'_>) {
        if let Some(no) = self.jobs.by_key(new.key) {
            return self.join(no, waiter, new, turn);
        }
        if let Some(answer) = self.answers.claim(new.key, new.place(), new.wants_fresh()) {
            if answer.replayed {
                turn.count(Counter::Replayed);
            }
            return turn.answer(waiter, answer);
        }
        let lane = self.lanes.find(new.place(), new.version());
        if let Some(ending) = self.refusal(&new, lane, turn) {
            return turn.answer(waiter, ending);
        }
        self.take_in(waiter, new, lane, turn);
    }

    /// Why a job cannot be taken, if so.
    fn refusal(&mut self, new: &NewJob, lane: Option<LaneId>, turn: &mut Turn<'_>) -> Option<Ending> {
        let place = new.place();
        if self.draining {
            return Some(Ending::new(Reason::RouterDraining, ""));
        }
        if self.poison.has(new.key) {
            return Some(Ending::new(Reason::Poison, ""));
        }
        if new.deadline().is_some_and(|deadline| deadline < self.settings.min_start) {
            return Some(Ending::new(Reason::Deadline, "deadline_ms is too short to start the job"));
        }
        let track = lane.and_then(|lane| self.lanes.lane(lane)).map(|lane| lane.track);
        let served = track.is_some_and(|track| self.workers.pools.is_served(place.channel, Some(track)));
        if !served && !self.recovering && !self.is_servable(place) {
            return Some(Ending::no_worker(place));
        }
        if let Some(failure) = lane.and_then(|lane| self.failure_everywhere(lane)) {
            return Some(failure);
        }
        let room = self.make_room(new, lane, turn);
        (!room).then(|| Ending::new(Reason::QueueFull, ""))
    }

    /// A job that must wait may push out another, or be refused itself: the newest of the longest track.
    fn make_room(&mut self, new: &NewJob, lane: Option<LaneId>, turn: &mut Turn<'_>) -> bool {
        let (max_jobs, max_bytes) = (self.settings.queue_max_jobs, self.settings.queue_max_bytes);
        loop {
            let over_bytes = self.lanes.bytes() + new.bytes > max_bytes;
            // A full queue does not matter to a job for which a slot is free.
            if self.lanes.waiting() < max_jobs && !over_bytes
                || lane.is_some_and(|lane| self.choose(lane).is_some())
            {
                return true;
            }
            let own = self.lanes.track_id(new.place());
            let added = if over_bytes { new.bytes } else { 1 };
            let longest = self.longest_track(own, added, over_bytes);
            let Some(victim) = longest.and_then(|track| self.lanes.newest(track)) else { return false };
            self.finish(victim, Ending::new(Reason::QueueFull, ""), turn);
        }
    }

    /// The longest track, unless with this job `own` is as long.
    fn longest_track(&self, own: Option<TrackId>, added: usize, by_bytes: bool) -> Option<TrackId> {
        let length = |id: TrackId| {
            let track = self.lanes.track(id)?;
            Some(if by_bytes { track.bytes } else { track.waiting })
        };
        let own_length = own.and_then(length).unwrap_or(0) + added;
        let tracks = self.lanes.waiting_tracks().filter_map(|(id, _)| Some((length(id)?, id)));
        tracks.max().filter(|(longest, _)| *longest > own_length).map(|(_, id)| id)
    }

    /// `lane` was there when the job came; it is gone if those that made room for the job were its last.
    fn take_in(&mut self, waiter: Waiter, new: Box<NewJob>, lane: Option<LaneId>, turn: &mut Turn<'_>) {
        let lane = lane.filter(|lane| self.lanes.lane(*lane).is_some());
        let lane = lane.unwrap_or_else(|| self.lanes.enter(new.place(), new.version()));
        let (effort, wait) = (new.effort(), self.queue_wait(new.effort(), new.place(), lane));
        let mut job = Job::new(new.key, turn.now, turn.now + wait + self.attempts_total(effort));
        job.queue_until = turn.now + wait;
        let mut own = waiting(waiter, &new, turn);
        own.until = own.until.filter(|_| !self.saboteur.does(Sabotage::LateAnswer));
        job.waiters.push(own);
        job.work = self.work(*new, lane);
        let no = self.jobs.insert(job);
        self.place_job(no, turn);
    }

    /// A job's work, counted in its lane.
    fn work(&mut self, new: NewJob, id: LaneId) -> Option<Work> {
        let lane = self.lanes.lane_mut(id)?;
        lane.jobs += 1;
        Some(Work::new(new, id, lane))
    }

    fn join(&mut self, no: JobNo, waiter: Waiter, new: Box<NewJob>, turn: &mut Turn<'_>) {
        if self.jobs.waiters() >= self.jobs.len() + self.settings.queue_max_jobs {
            return turn
                .answer(waiter, Ending::new(Reason::QueueFull, "too many requests wait for the same jobs"));
        }
        turn.count(Counter::Joined);
        self.jobs.join(no, waiting(waiter, &new, turn));
        self.claim_adopted(no, new, turn);
        self.jobs.arm(no, self.settings.min_start);
    }

    /// An adopted job gets its request from the first client that asks again; from then on it can run elsewhere.
    fn claim_adopted(&mut self, no: JobNo, new: Box<NewJob>, turn: &mut Turn<'_>) {
        if self.jobs.get(no).is_none_or(|job| job.work.is_some()) {
            return;
        }
        let lane = self.lanes.enter(new.place(), new.version());
        let effort = new.effort();
        let whole = self.queue_wait(effort, new.place(), lane) + self.attempts_total(effort);
        let attempt = self.attempt_total(effort);
        let work = self.work(*new, lane);
        let Some(job) = self.jobs.get_mut(no) else { return };
        job.received = turn.now;
        job.whole_until = turn.now + whole;
        job.attempt_until = turn.now + attempt;
        job.work = work;
        self.drop_made_up(no, turn);
    }
}

fn waiting(waiter: Waiter, new: &NewJob, turn: &Turn<'_>) -> Waiting {
    Waiting { waiter, until: new.deadline().map(|deadline| turn.now + deadline) }
}
