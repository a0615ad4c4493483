//! The path of a job through a slot.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use trackyard_daemon::clock::millis;
use trackyard_protocol::limits::Limits;
use trackyard_protocol::reason::Reason;
use trackyard_protocol::worker::{Job, JobResult};

use super::report::{self, JobFacts};
use crate::input::{self, Inputs};
use crate::sandbox::{self, Captured, JobOutcome, PreparedJob, Rootfs, RunSpec, Slot, Usage};
use crate::versions::prepare::ReadyVersion;

/// A job with all that it needs but a slot.
#[derive(Debug)]
pub struct JobTask {
    /// The router's message.
    pub job: Job,
    /// When the message was received.
    pub received: Instant,
    /// The version to run. Its image stays in the store until the job has ended.
    pub ready: Arc<ReadyVersion>,
    /// Fetches the submission.
    pub inputs: Inputs,
    /// The limits that this worker applies.
    pub limits: Limits,
    /// Stops the job.
    pub cancel: CancellationToken,
}

/// A job or a build that left its slot.
#[derive(Debug)]
pub struct FinishedJob {
    /// The result, or `None` if the job was stopped and may run elsewhere.
    pub result: Option<JobResult>,
    /// Whether the verdict is a sign of a broken sandbox.
    pub is_suspicious: bool,
}

/// A setup with less time than this may time out on a healthy machine.
const SHORT_SETUP_MS: u64 = 5_000;

/// Why the container was not run.
enum SetupError {
    Sandbox(sandbox::SandboxError),
    Input(input::InputError),
    /// The setup timed out: the verdict's reason, and what was not done in time.
    TooLate(Reason, &'static str),
    Stopped,
}

impl JobTask {
    /// Runs the job in `slot`.
    pub async fn run(&self, slot: &mut Slot) -> FinishedJob {
        let mut had_short_setup = false;
        let (outcome, detail) = match self.set_up(slot).await {
            Ok(prepared) => {
                let setup = self.received.elapsed();
                let run = RunSpec {
                    entry: self.ready.entry,
                    exercise: self.job.exercise.clone(),
                    cpu_time: self.limits.cpu_time(),
                };
                let mut outcome = prepared.run(&run, self.cancel.clone()).await;
                outcome.usage.setup_ms = millis(setup);
                (outcome, None)
            }
            Err(SetupError::Stopped) => return FinishedJob { result: None, is_suspicious: false },
            Err(error) => {
                had_short_setup =
                    matches!(error, SetupError::TooLate(..)) && self.job.setup_ms < SHORT_SETUP_MS;
                self.outcome_of_setup_error(&error)
            }
        };
        if self.cancel.is_cancelled() && outcome.reason == Reason::Deadline {
            return FinishedJob { result: None, is_suspicious: false };
        }
        let is_suspicious = is_suspicious(outcome.reason) && !had_short_setup;
        let facts = JobFacts {
            job: &self.job,
            limits: &self.limits,
            entry: self.ready.entry,
            reference: &self.ready.reference,
            digest: &self.ready.image.digest,
            detail,
        };
        FinishedJob { result: Some(report::result(&facts, outcome)), is_suspicious }
    }

    async fn set_up<'slot>(&self, slot: &'slot mut Slot) -> Result<PreparedJob<'slot>, SetupError> {
        let deadline = self.received + Duration::from_millis(self.job.setup_ms);
        let rootfs = Rootfs { layers: self.ready.image.layers.clone(), env: self.ready.image.env.clone() };
        let prepared = slot.prepare(&rootfs, &self.limits);
        let prepared = self
            .with_deadline(deadline, (Reason::Mount, "the container's file system was not made"), prepared)
            .await?;
        let prepared = prepared.map_err(SetupError::Sandbox)?;
        let dir = prepared
            .job_dir()
            .try_clone_to_owned()
            .map_err(|error| SetupError::Input(input::InputError::Write(error)))?;
        let fetch = self.inputs.fetch(&self.job.input, &self.limits, dir);
        let fetched =
            self.with_deadline(deadline, (Reason::Download, "the submission was not fetched"), fetch).await?;
        fetched.map_err(SetupError::Input)?;
        Ok(prepared)
    }

    async fn with_deadline<T>(
        &self,
        deadline: Instant,
        (reason, what): (Reason, &'static str),
        work: impl Future<Output = T>,
    ) -> Result<T, SetupError> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(SetupError::Stopped),
            done = tokio::time::timeout_at(deadline.into(), work) => done.map_err(|_| SetupError::TooLate(reason, what)),
        }
    }

    fn outcome_of_setup_error(&self, why: &SetupError) -> (JobOutcome, Option<String>) {
        let usage = Usage { setup_ms: millis(self.received.elapsed()), ..Usage::default() };
        let token = self.job.token;
        match why {
            SetupError::Sandbox(error) => {
                tracing::error!(%token, %error, "a slot could not be prepared");
                (JobOutcome::failed(error, usage), None)
            }
            SetupError::Input(error) => {
                tracing::info!(%token, %error, "a submission was not fetched");
                (outcome_without_run(error.reason(), error.to_string(), usage), None)
            }
            SetupError::TooLate(reason, what) => {
                let detail = format!("{what} within {} ms", self.job.setup_ms);
                tracing::warn!(%token, detail, "a job's setup timed out");
                (outcome_without_run(*reason, detail.clone(), usage), Some(detail))
            }
            SetupError::Stopped => (outcome_without_run(Reason::WorkerInternal, String::new(), usage), None),
        }
    }
}

/// Returns whether a verdict is a sign of a broken sandbox. A submission that cannot be fetched is not.
const fn is_suspicious(reason: Reason) -> bool {
    matches!(reason, Reason::Mount | Reason::Cgroup | Reason::Launch | Reason::HostResources | Reason::Killed)
}

/// Returns the outcome of a job whose container was not run.
pub(crate) fn outcome_without_run(reason: Reason, message: String, usage: Usage) -> JobOutcome {
    JobOutcome {
        reason,
        message,
        exit_status: None,
        stdout: Captured::default(),
        stderr: Captured::default(),
        usage,
        files: BTreeMap::new(),
        hints: Vec::new(),
    }
}
