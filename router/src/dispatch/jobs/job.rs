//! The jobs in flight: waiting or running, each with those who wait for its answer.

use std::collections::BTreeSet;
use std::time::Duration;

use smallvec::SmallVec;
use trackyard_protocol::request::Place;
use trackyard_protocol::token::{JobKey, Token};

use super::payload::Work;
use crate::dispatch::ids::{JobNo, LaneId, Map, Numbers, SeededMap};
use crate::dispatch::workers::attempt::Attempt;
use crate::dispatch::{Time, Waiter};

/// A job. Either it is queued, or a worker has it in hand (`live`), never both.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) key: JobKey,
    /// Absent for an adopted job that no client has asked for yet.
    pub(crate) work: Option<Work>,
    pub(crate) waiters: SmallVec<[Waiting; 1]>,
    pub(crate) queued: bool,
    /// Attempts in the hands of connected workers.
    pub(crate) live: u32,
    /// Attempts that may still answer, those of lost workers included.
    pub(crate) attempts: SmallVec<[Token; 1]>,
    /// Attempts that a worker had accepted when it was lost.
    pub(crate) lost: u32,
    pub(crate) received: Time,
    pub(crate) queue_until: Time,
    pub(crate) attempt_until: Time,
    pub(crate) whole_until: Time,
    /// For a build whose worker is lost: until when it may come back with it.
    pub(crate) back_until: Option<Time>,
    /// When the timer fires; may be earlier than what is due, never later.
    armed: Time,
}

/// Someone who waits for an answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waiting {
    pub(crate) waiter: Waiter,
    /// The client's own deadline.
    pub(crate) until: Option<Time>,
}

impl Job {
    /// A job with neither work nor waiters, known by its key alone.
    pub(crate) fn new(key: JobKey, received: Time, whole_until: Time) -> Self {
        Self {
            key,
            work: None,
            waiters: SmallVec::new(),
            queued: false,
            live: 0,
            attempts: SmallVec::new(),
            lost: 0,
            received,
            queue_until: whole_until,
            attempt_until: whole_until,
            whole_until,
            back_until: None,
            armed: Time::MAX,
        }
    }

    /// It does not count on this attempt any more.
    pub(crate) fn let_go(&mut self, attempt: &Attempt) {
        self.attempts.retain(|other| *other != attempt.token);
        self.live = self.live.saturating_sub(u32::from(!attempt.stranded));
    }

    pub(crate) fn lane(&self) -> Option<LaneId> {
        self.work.as_ref().map(|work| work.lane)
    }

    /// What it is for; none for an adopted job that no client has asked for yet.
    pub(crate) fn place(&self) -> Option<&Place> {
        self.work.as_ref().map(|work| &work.place)
    }

    pub(crate) fn is_build(&self) -> bool {
        self.work.as_ref().is_some_and(Work::is_build)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.work.as_ref().map_or(0, |work| work.bytes)
    }

    /// The next moment at which something is due, if nothing happens before.
    pub(crate) fn due(&self, min_start: Duration) -> Time {
        let own = if self.queued { self.queue_until } else { self.attempt_until };
        let own = own.min(self.back_until.unwrap_or(Time::MAX));
        let waiters = self.waiters.iter().filter_map(|waiting| waiting.due(self.queued, min_start));
        waiters.fold(own.min(self.whole_until), Time::min)
    }

    /// When the last of those who wait gives up, at the latest when the job does.
    pub(crate) fn patience(&self) -> Time {
        let last = self.waiters.iter().map(|waiting| waiting.until.unwrap_or(Time::MAX)).max();
        last.unwrap_or(Time::MAX).min(self.whole_until)
    }
}

impl Waiting {
    /// A client's deadline; while the job waits, the moment from which starting it is of no use.
    pub(crate) fn due(&self, queued: bool, min_start: Duration) -> Option<Time> {
        self.until.map(|until| if queued { until.saturating_sub(min_start) } else { until })
    }
}

/// All jobs in flight.
#[derive(Debug, Default)]
pub(crate) struct Jobs {
    /// Each in its own memory, so that those who come take that of those who went.
    jobs: Map<JobNo, Box<Job>>,
    by_key: SeededMap<JobKey, JobNo>,
    timers: BTreeSet<(Time, JobNo)>,
    numbers: Numbers,
    waiters: usize,
}

impl Jobs {
    pub(crate) fn insert(&mut self, job: Job) -> JobNo {
        let no = JobNo(self.numbers.next());
        self.by_key.insert(job.key, no);
        self.waiters += job.waiters.len();
        self.jobs.insert(no, Box::new(job));
        no
    }

    pub(crate) fn get(&self, no: JobNo) -> Option<&Job> {
        self.jobs.get(&no).map(Box::as_ref)
    }

    pub(crate) fn get_mut(&mut self, no: JobNo) -> Option<&mut Job> {
        self.jobs.get_mut(&no).map(Box::as_mut)
    }

    pub(crate) fn by_key(&self, key: JobKey) -> Option<JobNo> {
        self.by_key.get(&key).copied()
    }

    pub(crate) fn remove(&mut self, no: JobNo) -> Option<Box<Job>> {
        let job = self.jobs.remove(&no)?;
        self.by_key.remove(&job.key);
        self.timers.remove(&(job.armed, no));
        self.waiters -= job.waiters.len();
        Some(job)
    }

    pub(crate) fn join(&mut self, no: JobNo, waiting: Waiting) {
        if let Some(job) = self.jobs.get_mut(&no) {
            job.waiters.push(waiting);
            self.waiters += 1;
        }
    }

    /// Takes out those whose own deadline has come.
    pub(crate) fn take_impatient(&mut self, no: JobNo, min_start: Duration, now: Time) -> Vec<Waiting> {
        let Some(job) = self.jobs.get_mut(&no) else { return Vec::new() };
        let (queued, mut gone) = (job.queued, Vec::new());
        job.waiters.retain(|waiting| {
            let is_due = waiting.due(queued, min_start).is_some_and(|due| due <= now);
            gone.extend(is_due.then_some(*waiting));
            !is_due
        });
        self.waiters -= gone.len();
        gone
    }

    /// Sets the timer to what is due. A timer that fires too early is set again then: most jobs end before, and so
    /// cost one insertion and one removal.
    pub(crate) fn arm(&mut self, no: JobNo, min_start: Duration) {
        let Some(job) = self.jobs.get_mut(&no) else { return };
        let due = job.due(min_start);
        if due < job.armed {
            if job.armed < Time::MAX {
                self.timers.remove(&(job.armed, no));
            }
            self.timers.insert((due, no));
            job.armed = due;
        }
    }

    /// Takes the first job whose timer has fired.
    pub(crate) fn take_fired(&mut self, now: Time) -> Option<JobNo> {
        let &(at, no) = self.timers.first().filter(|(at, _)| *at <= now)?;
        self.timers.remove(&(at, no));
        if let Some(job) = self.jobs.get_mut(&no) {
            job.armed = Time::MAX;
        }
        Some(no)
    }

    /// Gives this job's waiters to another job, and that one's to this: only for a test of the tests.
    pub(crate) fn swap_waiters(&mut self, no: JobNo) {
        let Some(other) = self.timers.iter().map(|(_, other)| *other).find(|other| *other != no) else {
            return;
        };
        let Some(mine) = self.jobs.get_mut(&no).map(|job| std::mem::take(&mut job.waiters)) else { return };
        let theirs = self.jobs.get_mut(&other).map(|job| std::mem::replace(&mut job.waiters, mine));
        if let Some(job) = self.jobs.get_mut(&no) {
            job.waiters = theirs.unwrap_or_default();
        }
    }

    pub(crate) fn first_timer(&self) -> Option<Time> {
        self.timers.first().map(|(at, _)| *at)
    }

    pub(crate) fn len(&self) -> usize {
        self.jobs.len()
    }

    pub(crate) fn waiters(&self) -> usize {
        self.waiters
    }
}
