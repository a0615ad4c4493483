//! A job whose attempts were lost: it waits for those still running, runs elsewhere, or ends.

use trackyard_protocol::reason::Reason;

use crate::dispatch::action::Turn;
use crate::dispatch::ids::JobNo;
use crate::dispatch::planted_fault::Sabotage;
use crate::dispatch::{Counter, Dispatch, Ending, Time};

impl Dispatch {
    /// Retries or ends each of these jobs.
    pub(crate) fn retry_all(&mut self, jobs: Vec<JobNo>, turn: &mut Turn<'_>) {
        for no in jobs {
            self.run_on(no, turn);
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
