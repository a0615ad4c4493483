//! The jobs in flight, waiting or running, each with the requests that wait for its answer.

use std::collections::BTreeSet;
use std::time::Duration;

use smallvec::SmallVec;
use trackyard_protocol::request::Tooling;
use trackyard_protocol::token::{JobKey, Token};

use super::payload::Payload;
use crate::dispatch::ids::{IdMap, JobIndex, LaneId, SeededMap, Sequence};
use crate::dispatch::workers::Attempt;
use crate::dispatch::{Time, Waiter};

/// A job. Either it is queued or it has live attempts, never both.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) key: JobKey,
    /// `None` for an adopted job that no client has asked for yet.
    pub(crate) payload: Option<Payload>,
    pub(crate) waiters: SmallVec<[JobWaiter; 1]>,
    pub(crate) queued: bool,
    /// Attempts on connected workers.
    pub(crate) live_attempts: u32,
    /// Attempts that may still answer, those of lost workers included.
    pub(crate) attempts: SmallVec<[Token; 1]>,
    /// Attempts that a worker had accepted when it was lost.
    pub(crate) lost_attempts: u32,
    pub(crate) received: Time,
    pub(crate) queue_deadline: Time,
    pub(crate) attempt_deadline: Time,
    pub(crate) overall_deadline: Time,
    /// When a lost builder must have come back with this build.
    pub(crate) return_deadline: Option<Time>,
    /// When the timer fires: possibly before something is due, never after.
    timer: Time,
}

/// A request that waits for the job's answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct JobWaiter {
    pub(crate) waiter: Waiter,
    /// The client's own deadline.
    pub(crate) deadline: Option<Time>,
}

impl Job {
    /// Creates a job of which only the key is known: without payload and waiters.
    pub(crate) fn new(key: JobKey, received: Time, overall_deadline: Time) -> Self {
        Self {
            key,
            payload: None,
            waiters: SmallVec::new(),
            queued: false,
            live_attempts: 0,
            attempts: SmallVec::new(),
            lost_attempts: 0,
            received,
            queue_deadline: overall_deadline,
            attempt_deadline: overall_deadline,
            overall_deadline,
            return_deadline: None,
            timer: Time::MAX,
        }
    }

    /// Removes an attempt from this job.
    pub(crate) fn detach(&mut self, attempt: &Attempt) {
        self.attempts.retain(|other| *other != attempt.token);
        self.live_attempts = self.live_attempts.saturating_sub(u32::from(!attempt.detached));
    }

    pub(crate) fn lane(&self) -> Option<LaneId> {
        self.payload.as_ref().map(|payload| payload.lane)
    }

    /// Returns the channel and track; `None` for an adopted job that no client has asked for yet.
    pub(crate) fn tooling(&self) -> Option<&Tooling> {
        self.payload.as_ref().map(|payload| &payload.tooling)
    }

    pub(crate) fn is_build(&self) -> bool {
        self.payload.as_ref().is_some_and(Payload::is_build)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.payload.as_ref().map_or(0, |payload| payload.bytes)
    }

    /// Returns the next time at which something is due, if nothing happens before.
    pub(crate) fn due(&self, min_start: Duration) -> Time {
        let own = if self.queued { self.queue_deadline } else { self.attempt_deadline };
        let own = own.min(self.return_deadline.unwrap_or(Time::MAX));
        let waiters = self.waiters.iter().filter_map(|waiter| waiter.due(self.queued, min_start));
        waiters.fold(own.min(self.overall_deadline), Time::min)
    }

    /// Returns the latest deadline of the waiters, at most that of the job.
    pub(crate) fn latest_deadline(&self) -> Time {
        let last = self.waiters.iter().map(|waiter| waiter.deadline.unwrap_or(Time::MAX)).max();
        last.unwrap_or(Time::MAX).min(self.overall_deadline)
    }
}

impl JobWaiter {
    /// Returns the client's deadline; while the job is queued, the time from which starting it is useless.
    pub(crate) fn due(&self, queued: bool, min_start: Duration) -> Option<Time> {
        self.deadline.map(|deadline| if queued { deadline.saturating_sub(min_start) } else { deadline })
    }
}

/// All jobs in flight.
#[derive(Debug, Default)]
pub(crate) struct Jobs {
    /// Boxed, so that new jobs reuse the memory of removed ones.
    jobs: IdMap<JobIndex, Box<Job>>,
    by_key: SeededMap<JobKey, JobIndex>,
    timers: BTreeSet<(Time, JobIndex)>,
    indices: Sequence,
    waiters: usize,
}

impl Jobs {
    pub(crate) fn insert(&mut self, job: Job) -> JobIndex {
        let index = JobIndex(self.indices.next());
        self.by_key.insert(job.key, index);
        self.waiters += job.waiters.len();
        self.jobs.insert(index, Box::new(job));
        index
    }

    pub(crate) fn get(&self, index: JobIndex) -> Option<&Job> {
        self.jobs.get(&index).map(Box::as_ref)
    }

    pub(crate) fn get_mut(&mut self, index: JobIndex) -> Option<&mut Job> {
        self.jobs.get_mut(&index).map(Box::as_mut)
    }

    pub(crate) fn by_key(&self, key: JobKey) -> Option<JobIndex> {
        self.by_key.get(&key).copied()
    }

    pub(crate) fn remove(&mut self, index: JobIndex) -> Option<Box<Job>> {
        let job = self.jobs.remove(&index)?;
        self.by_key.remove(&job.key);
        self.timers.remove(&(job.timer, index));
        self.waiters -= job.waiters.len();
        Some(job)
    }

    pub(crate) fn join(&mut self, index: JobIndex, waiter: JobWaiter) {
        if let Some(job) = self.jobs.get_mut(&index) {
            job.waiters.push(waiter);
            self.waiters += 1;
        }
    }

    /// Removes and returns the waiters whose own deadline has come.
    pub(crate) fn take_expired(&mut self, index: JobIndex, min_start: Duration, now: Time) -> Vec<JobWaiter> {
        let Some(job) = self.jobs.get_mut(&index) else { return Vec::new() };
        let queued = job.queued;
        let mut expired = Vec::new();
        job.waiters.retain(|waiter| {
            let is_due = waiter.due(queued, min_start).is_some_and(|due| due <= now);
            expired.extend(is_due.then_some(*waiter));
            !is_due
        });
        self.waiters -= expired.len();
        expired
    }

    /// Moves the timer forward if something is due earlier. A timer that fires too early is set again at that time; most
    /// jobs end before, and so cost one insertion and one removal.
    pub(crate) fn set_timer(&mut self, index: JobIndex, min_start: Duration) {
        let Some(job) = self.jobs.get_mut(&index) else { return };
        let due = job.due(min_start);
        if due < job.timer {
            if job.timer < Time::MAX {
                self.timers.remove(&(job.timer, index));
            }
            self.timers.insert((due, index));
            job.timer = due;
        }
    }

    /// Removes the first timer that has fired and returns its job.
    pub(crate) fn take_due(&mut self, now: Time) -> Option<JobIndex> {
        let &(at, index) = self.timers.first().filter(|(at, _)| *at <= now)?;
        self.timers.remove(&(at, index));
        if let Some(job) = self.jobs.get_mut(&index) {
            job.timer = Time::MAX;
        }
        Some(index)
    }

    /// Swaps the waiters of this job with those of another. Only for a planted fault.
    pub(crate) fn swap_waiters(&mut self, index: JobIndex) {
        let Some(other) = self.timers.iter().map(|(_, other)| *other).find(|other| *other != index) else {
            return;
        };
        let Some(mine) = self.jobs.get_mut(&index).map(|job| std::mem::take(&mut job.waiters)) else {
            return;
        };
        let theirs = self.jobs.get_mut(&other).map(|job| std::mem::replace(&mut job.waiters, mine));
        if let Some(job) = self.jobs.get_mut(&index) {
            job.waiters = theirs.unwrap_or_default();
        }
    }

    pub(crate) fn next_timer(&self) -> Option<Time> {
        self.timers.first().map(|(at, _)| *at)
    }

    pub(crate) fn len(&self) -> usize {
        self.jobs.len()
    }

    pub(crate) fn waiters(&self) -> usize {
        self.waiters
    }
}
