//! Jobs in slots: their start, their end, and what is common to jobs and builds.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use trackyard_protocol::reason::Reason;
use trackyard_protocol::token::{JobKey, Token};
use trackyard_protocol::worker::{Job, JobResult, TrackVersion, Usage, Verdict};

use super::tasks::{TaskKind, TaskOutcome};
use super::{Agent, AgentError};
use crate::build::{BuildWorkspace, LogBuffer};
use crate::canary::{self, Canary};
use crate::connection::{Event, JobEnd};
use crate::job::{FinishedJob, JobTask};
use crate::sandbox::Slot;

/// Time that a stopped job has to leave its slot. The removal of a build's files is included.
const STOP_TIMEOUT: Duration = Duration::from_secs(120);

/// A job or a build in a slot.
pub(super) struct Running {
    pub(super) cancel: CancellationToken,
    /// The reason and time of the stop, if the job was stopped.
    pub(super) stopped: Option<(&'static str, Instant)>,
    /// The version that a job runs; `None` for a build.
    pub(super) version: Option<TrackVersion>,
    /// The log of a build, and the number of the first line that the router does not have.
    pub(super) log: Option<(LogBuffer, u64)>,
}

/// A job or a build that left its slot.
pub(super) struct JobDone {
    pub(super) token: Token,
    pub(super) key: JobKey,
    pub(super) slot: Slot,
    /// The workspace of a build.
    pub(super) workspace: Option<BuildWorkspace>,
    pub(super) finished: FinishedJob,
    pub(super) canary_error: Option<canary::CanaryError>,
}

impl JobDone {
    /// Runs the canary in the slot if the verdict is suspicious.
    pub(super) async fn check(mut self, canary: Option<Canary>) -> TaskOutcome {
        if let Some(canary) = canary.filter(|_| self.finished.is_suspicious) {
            self.canary_error = canary.run(&mut self.slot).await.err();
        }
        TaskOutcome::JobDone(Box::new(self))
    }
}

impl Agent {
    pub(super) fn start_job(&mut self, job: Job) {
        let (token, key) = (job.token, job.key);
        let version = TrackVersion { track: job.track.clone(), version: job.version.clone() };
        let (Some(ready), Some(inputs)) = (self.ready.get(&version), self.inputs.clone()) else {
            return self.return_job(token, key, "not_unpacked");
        };
        let Some(slot) = self.slots.pop() else { return self.return_job(token, key, "no_free_slot") };
        tracing::debug!(%token, id = %job.id, track = %job.track, attempt = job.attempt, "job");
        let cancel = CancellationToken::new();
        let limits = self.trust.job_limits(&job.limits);
        let task = JobTask {
            job,
            received: Instant::now(),
            ready: Arc::clone(ready),
            inputs,
            limits,
            cancel: cancel.clone(),
        };
        self.running.insert(token, Running { cancel, stopped: None, version: Some(version), log: None });
        self.tasks.spawn(TaskKind::Job(token, key), run(task, slot, self.canary.clone()));
    }

    pub(super) fn stop_job(&mut self, token: Token, why: &'static str) {
        if let Some(running) = self.running.get_mut(&token) {
            let since = running.stopped.map_or_else(Instant::now, |(_, since)| since);
            running.stopped = Some((why, since));
            running.cancel.cancel();
        }
    }

    /// Drains the worker if a stopped job has not left its slot in time. Otherwise its slot would be lost unnoticed.
    pub(super) fn check_stuck_jobs(&mut self) {
        let is_stuck =
            |running: &Running| running.stopped.is_some_and(|(_, since)| since.elapsed() > STOP_TIMEOUT);
        if self.fault.is_none() && self.running.values().any(is_stuck) {
            self.drain_after_fault(AgentError::SlotStuck(STOP_TIMEOUT));
        }
    }

    pub(super) fn on_job_done(&mut self, done: JobDone) {
        let JobDone { token, key, slot, workspace, finished, canary_error } = done;
        self.slots.push(slot);
        self.return_workspace(workspace);
        self.build_logs.remove(token);
        let running = self.running.remove(&token);
        let version = running.as_ref().and_then(|running| running.version.as_ref());
        if version.is_some_and(|version| !self.ready.contains_key(version)) {
            // The version went while the job ran; its image could not be removed before.
            self.collect_images(self.versions.keep());
        }
        let why = running.and_then(|running| running.stopped).map_or("cancelled", |(why, _)| why);
        let Some(mut result) = finished.result else { return self.return_job(token, key, why) };
        match canary_error {
            Some(error) => {
                result.verdict = Verdict::new(Reason::CanaryFailed, error.to_string());
                self.metrics.canary_failed();
                self.end_job(JobEnd::Result(result));
                self.drain_after_fault(AgentError::Canary(error));
            }
            None => self.end_job(JobEnd::Result(result)),
        }
    }

    /// Answers a job whose task panicked. The state of its slot is unknown, so the slot is not used again.
    pub(super) fn on_job_panicked(&mut self, token: Token, key: JobKey) {
        self.running.remove(&token);
        self.build_logs.remove(token);
        self.end_job(JobEnd::Result(JobResult {
            token,
            key,
            verdict: Verdict::new(Reason::WorkerInternal, ""),
            usage: Usage::default(),
            response: Vec::new(),
            context: b"{}".to_vec(),
        }));
        self.drain_after_fault(AgentError::SlotLost);
    }

    pub(super) fn return_job(&mut self, token: Token, key: JobKey, why: &'static str) {
        tracing::debug!(%token, why, "job given back");
        self.metrics.job_returned();
        self.end_job(JobEnd::Returned { token, key, why });
    }

    fn end_job(&mut self, end: JobEnd) {
        if let JobEnd::Result(result) = &end {
            tracing::info!(
                token = %result.token, code = result.verdict.status_code, reason = &*result.verdict.reason,
                wall_ms = result.usage.wall_ms, "job ended"
            );
            self.metrics.job_ended(result);
        }
        self.dispatch_event(Event::JobEnded(Box::new(end)));
    }
}

async fn run(task: JobTask, mut slot: Slot, canary: Option<Canary>) -> TaskOutcome {
    let finished = task.run(&mut slot).await;
    let JobTask { job, .. } = task;
    JobDone { token: job.token, key: job.key, slot, workspace: None, finished, canary_error: None }
        .check(canary)
        .await
}
