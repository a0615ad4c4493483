//! One run of a job: start the container, watch it, kill what is left, collect the output, judge.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use trackyard_daemon::clock::millis;
use trackyard_protocol::limits::Limits;

use super::capture::{Capture, Captured};
use super::cgroup::stats::CgroupStats;
use super::chown::chown_recursive;
use super::collect::{self, Collected};
use super::error::SandboxError;
use super::ids::IDS_PER_SLOT;
use super::outcome::{JobOutcome, Usage};
use super::runc::{self, Container, StartError};
use super::slot::{JobResources, PreparedJob, RunSpec, SlotInner};
use super::spec;
use super::verdict::{Cause, ExecError, ExitStatus, Facts, judge};
use super::watch::ContainerWatch;

/// How long a killed container may take to exit.
const KILL_TIMEOUT: Duration = Duration::from_secs(5);

/// What was observed of the container by the time it had exited.
#[derive(Debug)]
struct Observed {
    cause: Cause,
    exit: ExitStatus,
    exec_error: Option<ExecError>,
    /// Set if the machine could not start or could not end the container.
    error: Option<SandboxError>,
    launch: Duration,
    wall: Duration,
    /// True if a container was started.
    started: bool,
}

/// What the teardown found.
#[derive(Debug, Default)]
struct Teardown {
    stats: CgroupStats,
    /// False if no process ever ran in the job's cgroup.
    cgroup_was_used: bool,
    collected: Collected,
    error: Option<SandboxError>,
}

impl PreparedJob<'_> {
    /// Runs the job to its end, or until `cancel`, and removes everything it had. A job whose caller drops this future
    /// is killed and removed too.
    pub async fn run(self, run: &RunSpec, cancel: CancellationToken) -> JobOutcome {
        let slot = Arc::clone(&self.slot.0);
        let limits = self.limits.clone();
        let setup = self.setup;
        let owner = slot.ids.base;
        let pipes = Capture::start(limits.stdout.0, owner)
            .and_then(|stdout| Ok((stdout, Capture::start(limits.stderr.0, owner)?)));
        let ((stdout, stdout_pipe), (stderr, stderr_pipe)) = match pipes {
            Ok(pipes) => pipes,
            Err(error) => {
                let usage = Usage { setup_ms: millis(setup), ..Usage::default() };
                return JobOutcome::failed(&SandboxError::launch("make a pipe")(error), usage);
            }
        };
        let launching = Instant::now();
        let started = self.start(&slot, run, stdout_pipe, stderr_pipe).await;
        let mut observed = Observed::launched(launching.elapsed());
        match started {
            Ok(container) => {
                let watch = ContainerWatch {
                    container: &container,
                    cgroup: &self.resources.cgroup,
                    stdout: &stdout,
                    stderr: &stderr,
                    deadline: tokio::time::Instant::now() + limits.wall.0,
                    cpu_limit: run.cpu_time,
                    cpus: limits.cpus.0.div_ceil(1000),
                };
                observed.follow(&watch, &cancel).await;
                observed.started = true;
            }
            Err(StartError::EntryScript(error)) => {
                observed.exec_error = Some(error);
                observed.exit = ExitStatus::Code(error.code());
            }
            Err(StartError::OutOfMemory) => observed.cause = Cause::Memory,
            Err(StartError::Sandbox(error)) => observed.error = Some(error),
        }
        let teardown = tear_down(self.resources, run, &limits).await;
        let stdout = stdout.finish().await;
        let stderr = stderr.finish().await;
        conclude(Job { limits: &limits, setup, run }, observed, teardown, stdout, stderr)
    }

    async fn start(
        &self,
        slot: &SlotInner,
        run: &RunSpec,
        stdout: OwnedFd,
        stderr: OwnedFd,
    ) -> Result<Container, StartError> {
        chown_recursive(self.job_dir(), slot.ids.base)
            .map_err(SandboxError::mount("give the submission to the container"))?;
        let spec = spec::spec(&spec::ContainerParams {
            rootfs: &slot.rootfs(),
            job_dir: &slot.job_dir(),
            tmp: &slot.tmp(),
            argv: run.entry.argv(&run.exercise),
            working_dir: run.entry.working_dir(),
            env: &self.env,
            ids: (slot.ids.base, IDS_PER_SLOT),
            cgroup: slot.host.entered.cgroup.oci_path(slot.number),
            limits: &self.limits,
        });
        let spec = spec.map_err(SandboxError::launch("describe the container"))?;
        self.resources.runc.start(&spec, stdout, stderr).await
    }
}

impl Observed {
    fn launched(launch: Duration) -> Self {
        Self {
            cause: Cause::Exited,
            exit: ExitStatus::Code(1),
            exec_error: None,
            error: None,
            launch,
            wall: Duration::ZERO,
            started: false,
        }
    }

    /// Watches a container until it exits, and kills it if it has to.
    async fn follow(&mut self, watch: &ContainerWatch<'_>, cancel: &CancellationToken) {
        let started = Instant::now();
        self.cause = watch.wait(cancel).await;
        self.wall = started.elapsed();
        if self.cause != Cause::Exited {
            watch.container.kill();
        }
        let exited = tokio::time::timeout(KILL_TIMEOUT, watch.container.exited()).await;
        match exited.map_err(io::Error::from).flatten().and_then(|()| watch.container.exit_status()) {
            Ok(exit) => self.exit = exit,
            Err(error) => self.error = Some(SandboxError::launch("end the container")(error)),
        }
    }
}

/// Kills what still runs, reads what the job used and wrote, and removes everything it had.
async fn tear_down(resources: JobResources, run: &RunSpec, limits: &Limits) -> Teardown {
    let entry = run.entry;
    let limits = limits.clone();
    let work = move || {
        if let Err(error) = resources.cgroup.kill() {
            return Teardown { error: Some(error), ..Teardown::default() };
        }
        let stats = resources.cgroup.stats();
        let cgroup_was_used = !resources.cgroup.live_stats().cpu.is_zero();
        let collected = collect::collect(resources.job_dir.as_fd(), entry, &limits);
        drop(resources);
        Teardown { stats, cgroup_was_used, collected, error: None }
    };
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        let error = SandboxError::launch("collect what a job left")(io::Error::other(error));
        Teardown { error: Some(error), ..Teardown::default() }
    })
}

/// What a job is judged by.
#[derive(Clone, Copy)]
struct Job<'a> {
    limits: &'a Limits,
    setup: Duration,
    run: &'a RunSpec,
}

fn conclude(
    job: Job<'_>,
    observed: Observed,
    teardown: Teardown,
    stdout: Captured,
    stderr: Captured,
) -> JobOutcome {
    let stats = teardown.stats;
    let usage = usage(&job, &observed, &stats, &stdout, &stderr);
    let unlimited = (observed.started && !teardown.cgroup_was_used).then(ran_outside_cgroup);
    let error = observed.error.or(teardown.error).or(unlimited);
    if let Some(error) = error.filter(|_| stats.oom_kills == 0) {
        // What runc wrote to the container's streams may name paths of this machine.
        tracing::error!(%error, "a job's container failed");
        return JobOutcome::failed(&error, usage);
    }
    let exec_error = observed
        .exec_error
        .or_else(|| runc::exec_error(job.run.entry.script(), observed.exit, &stderr.bytes));
    let (reason, message) = judge(&Facts {
        limits: job.limits,
        cpu_limit: job.run.cpu_time,
        cause: observed.cause,
        exit: observed.exit,
        wall: observed.wall,
        cpu: stats.cpu_user + stats.cpu_system,
        oom_kills: stats.oom_kills,
        pids_denied: stats.pids_denied,
        stdout: stdout.total,
        stderr: stderr.total,
        exec_error,
        output: teardown.collected.result_error.as_ref(),
    });
    JobOutcome {
        reason,
        message,
        exit_status: match (exec_error, observed.exit) {
            (Some(error), _) => Some(error.code()),
            (None, ExitStatus::Code(code)) => Some(code),
            (None, ExitStatus::Signal(_)) => None,
        },
        stdout,
        stderr,
        usage,
        files: teardown.collected.files,
        hints: teardown
            .collected
            .refused
            .iter()
            .map(|(name, error)| format!("{name} was refused: {error}"))
            .collect(),
    }
}

/// The error of a container that ran outside its cgroup: it had no limits, whatever it wrote.
fn ran_outside_cgroup() -> SandboxError {
    SandboxError::cgroup("limit the container")(io::Error::other("runc started it outside of its cgroup"))
}

fn usage(
    job: &Job<'_>,
    observed: &Observed,
    stats: &CgroupStats,
    stdout: &Captured,
    stderr: &Captured,
) -> Usage {
    Usage {
        setup_ms: millis(job.setup),
        launch_ms: millis(observed.launch),
        wall_ms: millis(observed.wall),
        cpu_user_ms: millis(stats.cpu_user),
        cpu_sys_ms: millis(stats.cpu_system),
        memory_peak_bytes: stats.memory_peak,
        pids_peak: stats.pids_peak,
        stdout_bytes: stdout.total,
        stderr_bytes: stderr.total,
    }
}
