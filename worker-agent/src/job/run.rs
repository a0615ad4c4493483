//! The way of one job through a slot.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use trackyard_protocol::limits::Limits;
use trackyard_protocol::reason::Reason;
use trackyard_protocol::worker::{Job, JobResult};

use super::report::{self, Facts};
use crate::input::{self, Inputs};
use crate::sandbox::{self, Captured, JobOutcome, PreparedJob, Rootfs, RunSpec, Slot, Usage};
use crate::versions::prepare::Ready;

/// A job with all that it needs but a slot.
#[derive(Debug)]
pub struct Task {
    /// The router's job.
    pub job: Job,
    /// When it came.
    pub received: Instant,
    /// What to run; it stays in the store until the job has ended.
    pub ready: Arc<Ready>,
    /// Where submissions come from.
    pub inputs: Inputs,
    /// The limits that this worker applies.
    pub limits: Limits,
    /// Ends the job.
    pub cancel: CancellationToken,
}

/// A job that left its slot.
#[derive(Debug)]
pub struct Finished {
    /// Its result; none if it was stopped, and so may run elsewhere.
    pub result: Option<JobResult>,
    /// The verdict says that the sandbox itself may be broken.
    pub is_suspicious: bool,
}

/// A set-up that had less time than this may be late on a machine that is well.
const UNHURRIED_MS: u64 = 5_000;

/// Why there is no container.
enum NotRun {
    Sandbox(sandbox::SandboxError),
    Input(input::InputError),
    /// With what to answer, and what was not done in time.
    TooLate(Reason, &'static str),
    Stopped,
}

impl Task {
    /// Runs the job in `slot`.
    pub async fn run(&self, slot: &mut Slot) -> Finished {
        let mut is_hurried = false;
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
            Err(NotRun::Stopped) => return Finished { result: None, is_suspicious: false },
            Err(not_run) => {
                is_hurried = matches!(not_run, NotRun::TooLate(..)) && self.job.setup_ms < UNHURRIED_MS;
                self.not_run(&not_run)
            }
        };
        if self.cancel.is_cancelled() && outcome.reason == Reason::Deadline {
            return Finished { result: None, is_suspicious: false };
        }
        let is_suspicious = is_suspicious(outcome.reason) && !is_hurried;
        let facts = Facts {
            job: &self.job,
            limits: &self.limits,
            entry: self.ready.entry,
            reference: &self.ready.reference,
            digest: &self.ready.image.digest,
            detail,
        };
        Finished { result: Some(report::result(&facts, outcome)), is_suspicious }
    }

    async fn set_up<'slot>(&self, slot: &'slot mut Slot) -> Result<PreparedJob<'slot>, NotRun> {
        let deadline = self.received + Duration::from_millis(self.job.setup_ms);
        let rootfs = Rootfs { layers: self.ready.image.layers.clone(), env: self.ready.image.env.clone() };
        let prepared = slot.prepare(&rootfs, &self.limits);
        let prepared = self
            .bounded(deadline, (Reason::Mount, "the container's file system was not made"), prepared)
            .await?;
        let prepared = prepared.map_err(NotRun::Sandbox)?;
        let dir = prepared
            .job_dir()
            .try_clone_to_owned()
            .map_err(|error| NotRun::Input(input::InputError::Write(error)))?;
        let fetch = self.inputs.fetch(&self.job.input, &self.limits, dir);
        let fetched =
            self.bounded(deadline, (Reason::Download, "the submission was not fetched"), fetch).await?;
        fetched.map_err(NotRun::Input)?;
        Ok(prepared)
    }

    async fn bounded<T>(
        &self,
        deadline: Instant,
        (reason, what): (Reason, &'static str),
        work: impl Future<Output = T>,
    ) -> Result<T, NotRun> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(NotRun::Stopped),
            done = tokio::time::timeout_at(deadline.into(), work) => done.map_err(|_| NotRun::TooLate(reason, what)),
        }
    }

    fn not_run(&self, why: &NotRun) -> (JobOutcome, Option<String>) {
        let usage = Usage { setup_ms: millis(self.received.elapsed()), ..Usage::default() };
        let token = self.job.token;
        match why {
            NotRun::Sandbox(error) => {
                tracing::error!(%token, %error, "a slot could not be prepared");
                (JobOutcome::failed(error, usage), None)
            }
            NotRun::Input(error) => {
                tracing::info!(%token, %error, "a submission was not fetched");
                (refused(error.reason(), error.to_string(), usage), None)
            }
            NotRun::TooLate(reason, what) => {
                let detail = format!("{what} within {} ms", self.job.setup_ms);
                tracing::warn!(%token, detail, "a job's set-up took too long");
                (refused(*reason, detail.clone(), usage), Some(detail))
            }
            NotRun::Stopped => (refused(Reason::WorkerInternal, String::new(), usage), None),
        }
    }
}

/// Verdicts that are no job's fault. A submission that cannot be fetched tells nothing about the sandbox.
const fn is_suspicious(reason: Reason) -> bool {
    matches!(reason, Reason::Mount | Reason::Cgroup | Reason::Launch | Reason::HostResources | Reason::Killed)
}

/// The outcome of a job that had no container.
pub(crate) fn refused(reason: Reason, message: String, usage: Usage) -> JobOutcome {
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

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
