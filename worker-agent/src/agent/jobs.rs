//! Jobs into slots, and out of them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use trackyard_protocol::reason::Reason;
use trackyard_protocol::token::{JobKey, Token};
use trackyard_protocol::worker::{Job, JobResult, TrackVersion, Usage, Verdict};

use super::tasks::{Done, Purpose};
use super::{Agent, Error};
use crate::build::{Bench, Log};
use crate::canary;
use crate::connection::{Ended, Event};
use crate::job::{Finished, Task};
use crate::sandbox::Slot;

/// How long a job that was stopped may take to leave its slot, a build's files to be removed among it.
const STUCK: Duration = Duration::from_secs(120);

/// A job in a slot.
pub(super) struct Running {
    pub(super) cancel: CancellationToken,
    /// Why and since when it is to end, if it was stopped.
    pub(super) stopped: Option<(&'static str, Instant)>,
    /// What it runs, if it is not a build.
    pub(super) version: Option<TrackVersion>,
    /// What a build prints, and how much of it the router has.
    pub(super) log: Option<(Log, u64)>,
}

/// A job that left its slot.
pub(super) struct JobDone {
    pub(super) token: Token,
    pub(super) key: JobKey,
    pub(super) slot: Slot,
    /// Where it was built, for a build.
    pub(super) bench: Option<Bench>,
    pub(super) finished: Finished,
    pub(super) canary: Option<canary::CanaryError>,
}

impl Agent {
    pub(super) fn start_job(&mut self, job: Job) {
        let (token, key) = (job.token, job.key);
        let version = TrackVersion { track: job.track.clone(), version: job.version.clone() };
        let (Some(ready), Some(inputs)) = (self.ready.get(&version), self.inputs.clone()) else {
            return self.give_back(token, key, "not_unpacked");
        };
        let Some(slot) = self.slots.pop() else { return self.give_back(token, key, "no_free_slot") };
        tracing::debug!(%token, id = %job.id, track = %job.track, attempt = job.attempt, "job");
        let cancel = CancellationToken::new();
        let limits = self.trust.limits(&job.limits);
        let task = Task {
            job,
            received: Instant::now(),
            ready: Arc::clone(ready),
            inputs,
            limits,
            cancel: cancel.clone(),
        };
        self.running.insert(token, Running { cancel, stopped: None, version: Some(version), log: None });
        self.tasks.spawn(Purpose::Job(token, key), run(task, slot, self.canary.clone()));
    }

    pub(super) fn stop_job(&mut self, token: Token, why: &'static str) {
        if let Some(running) = self.running.get_mut(&token) {
            let since = running.stopped.map_or_else(Instant::now, |(_, since)| since);
            running.stopped = Some((why, since));
            running.cancel.cancel();
        }
    }

    /// A job that was stopped and goes on all the same would fill its slot for ever, and nobody would see it.
    pub(super) fn look_for_stuck_jobs(&mut self) {
        let is_stuck = |running: &Running| running.stopped.is_some_and(|(_, since)| since.elapsed() > STUCK);
        if self.fault.is_none() && self.running.values().any(is_stuck) {
            self.leave_for(Error::SlotStuck(STUCK));
        }
    }

    pub(super) fn job_done(&mut self, done: JobDone) {
        let JobDone { token, key, slot, bench, finished, canary } = done;
        self.slots.push(slot);
        self.put_back(bench);
        self.shelf.remove(token);
        let running = self.running.remove(&token);
        let version = running.as_ref().and_then(|running| running.version.as_ref());
        if version.is_some_and(|version| !self.ready.contains_key(version)) {
            // Its version went while it ran; the image could not be removed before.
            self.collect(self.versions.keep());
        }
        let why = running.and_then(|running| running.stopped).map_or("cancelled", |(why, _)| why);
        match finished.result {
            Some(mut result) => {
                if let Some(error) = canary {
                    result.verdict = Verdict::new(Reason::CanaryFailed, error.to_string());
                    self.metrics.canary_failed();
                    self.end(Ended::Result(result));
                    return self.leave_for(Error::Canary(error));
                }
                self.end(Ended::Result(result));
            }
            None => self.give_back(token, key, why),
        }
    }

    /// The task of a job broke. What became of its slot is not known, so it is not used again.
    pub(super) fn job_lost(&mut self, token: Token, key: JobKey) {
        self.running.remove(&token);
        self.shelf.remove(token);
        let verdict = Verdict::new(Reason::WorkerInternal, "");
        let (response, context) = (Vec::new(), b"{}".to_vec());
        let result = JobResult { token, key, verdict, usage: Usage::default(), response, context };
        self.end(Ended::Result(result));
        self.leave_for(Error::SlotLost);
    }

    pub(super) fn give_back(&mut self, token: Token, key: JobKey, why: &'static str) {
        tracing::debug!(%token, why, "job given back");
        self.metrics.gave_back();
        self.end(Ended::Returned { token, key, why });
    }

    fn end(&mut self, ended: Ended) {
        if let Ended::Result(result) = &ended {
            tracing::info!(
                token = %result.token, code = result.verdict.status_code, reason = &*result.verdict.reason,
                wall_ms = result.usage.wall_ms, "job ended"
            );
            self.metrics.ended(result);
        }
        self.happens(Event::JobEnded(Box::new(ended)));
    }
}

async fn run(task: Task, mut slot: Slot, canary: Option<canary::Canary>) -> Done {
    let finished = task.run(&mut slot).await;
    let canary = match canary.filter(|_| finished.is_suspicious) {
        Some(canary) => canary.run(&mut slot).await.err(),
        None => None,
    };
    Done::Job(Box::new(JobDone {
        token: task.job.token,
        key: task.job.key,
        slot,
        bench: None,
        finished,
        canary,
    }))
}
