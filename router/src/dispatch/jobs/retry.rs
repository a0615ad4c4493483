//! Jobs that lost an attempt: they run elsewhere, wait for their worker, or end.

use trackyard_protocol::reason::Reason;

use crate::dispatch::action::Effects;
use crate::dispatch::ids::JobIndex;
use crate::dispatch::planted_fault::PlantedFault;
use crate::dispatch::{Counter, Dispatch, Ending, Time};

impl Dispatch {
    /// Retries or ends each of these jobs; see [`retry_or_fail`](Self::retry_or_fail).
    pub(crate) fn retry_all(&mut self, jobs: Vec<JobIndex>, effects: &mut Effects<'_>) {
        for index in jobs {
            self.retry_or_fail(index, effects);
        }
    }

    /// Runs a job elsewhere that lost an attempt, or ends it. Nothing happens if another of its attempts still runs.
    pub(crate) fn retry_or_fail(&mut self, index: JobIndex, effects: &mut Effects<'_>) {
        let Some(job) = self.jobs.get(index).filter(|job| job.live_attempts == 0 && !job.queued) else {
            return;
        };
        if job.is_build() {
            return self.retry_build(index, effects);
        }
        let extra_attempts = u32::from(self.faults.is_active(PlantedFault::ThirdAttempt));
        if job.lost_attempts >= self.settings.max_attempts + extra_attempts {
            self.poison.remember(job.key, effects.now);
            effects.count(Counter::Poisoned);
            let message = format!("{} workers were lost while they ran this job", job.lost_attempts);
            return self.finish(index, Ending::new(Reason::Poison, message), effects);
        }
        self.requeue(index, effects);
    }

    /// Waits for the builder of a lost build, because a build never runs twice. A build that never reached its builder
    /// goes to another.
    fn retry_build(&mut self, index: JobIndex, effects: &mut Effects<'_>) {
        let Some(job) = self.jobs.get_mut(index) else { return };
        if !job.attempts.is_empty() {
            job.return_deadline = Some(effects.now + self.settings.build_return);
            return self.jobs.set_timer(index, self.settings.min_start);
        }
        if job.lost_attempts == 0 {
            return self.requeue(index, effects);
        }
        let message = "the builder was lost; the build may or may not have been released";
        self.finish(index, Ending::new(Reason::WorkerLost, message), effects);
    }

    /// Sends a job without attempts to a worker, or lets it wait again, if it has time left.
    fn requeue(&mut self, index: JobIndex, effects: &mut Effects<'_>) {
        let Some(job) = self.jobs.get(index).filter(|job| job.live_attempts == 0 && !job.queued) else {
            return;
        };
        let last_start = job.overall_deadline.saturating_sub(self.settings.min_start);
        let wait = job.payload.as_ref().map_or(Time::ZERO, |payload| {
            self.max_queue_wait(payload.budget(), &payload.tooling, payload.lane)
        });
        let Some(job) = self.jobs.get_mut(index) else { return };
        job.queue_deadline = last_start.min(effects.now + wait);
        // A waiter must still be there when the job starts.
        let is_in_time = effects.now < job.latest_deadline().saturating_sub(self.settings.min_start);
        let was_lost = job.lost_attempts > 0;
        match self.retry_refusal(index, is_in_time, was_lost) {
            Some(ending) => self.finish(index, ending, effects),
            None => self.dispatch_or_queue(index, effects),
        }
    }

    /// Returns why a job cannot run again, if so.
    fn retry_refusal(&self, index: JobIndex, is_in_time: bool, was_lost: bool) -> Option<Ending> {
        let job = self.jobs.get(index)?;
        let Some(payload) = &job.payload else {
            return Some(Ending::new(Reason::WorkerLost, ""));
        };
        let is_usable =
            self.lanes.lane(payload.lane).is_some_and(|lane| lane.deployed || lane.version.is_none());
        if self.draining {
            Some(Ending::new(Reason::RouterDraining, ""))
        } else if !is_in_time {
            Some(Ending::new(if was_lost { Reason::WorkerLost } else { Reason::QueueDeadline }, ""))
        } else if self.deployed.is_some() && !is_usable {
            Some(Ending::new(Reason::NotDeployed, "the version was unloaded before the job could run again"))
        } else {
            None
        }
    }
}
