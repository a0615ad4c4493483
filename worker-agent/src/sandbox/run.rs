//! One run: start, watch, kill, collect, judge.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use trackyard_protocol::limits::Limits;

use super::capture::{Capture, Captured};
use super::cgroup::usage::Counters;
use super::collect::{self, Collected};
use super::error::Error;
use super::ids::COUNT;
use super::outcome::{Outcome, Usage};
use super::owner;
use super::runc::{self, Container, NotStarted};
use super::slot::{Place, Prepared, Run, Workspace};
use super::spec;
use super::verdict::{Cause, End, ExecFault, Facts, judge};
use super::watch::Watch;

/// How long a killed container may take to end.
const END_DEADLINE: Duration = Duration::from_secs(5);

/// What was seen of the container, once it has ended.
#[derive(Debug)]
struct Seen {
    cause: Cause,
    end: End,
    exec_fault: Option<ExecFault>,
    /// The machine's fault, if there was no container or it cannot be ended.
    fault: Option<Error>,
    launch: Duration,
    wall: Duration,
    /// True if there was a container.
    ran: bool,
}

/// What remained after the container's end.
#[derive(Debug, Default)]
struct Remains {
    counters: Counters,
    /// False if nothing ever ran in the job's control group.
    was_inside: bool,
    collected: Collected,
    fault: Option<Error>,
}

/// Runs a prepared job.
pub(super) async fn run(
    prepared: Prepared<'_>,
    place: &Place,
    run: &Run,
    cancel: &CancellationToken,
) -> Outcome {
    let limits = prepared.limits.clone();
    let setup = prepared.setup;
    let owner = place.ids.base;
    let streams = (Capture::start(limits.stdout.0, owner), Capture::start(limits.stderr.0, owner));
    let ((stdout, stdout_end), (stderr, stderr_end)) = match streams {
        (Ok(stdout), Ok(stderr)) => (stdout, stderr),
        (Err(error), _) | (_, Err(error)) => {
            let usage = Usage { setup_ms: millis(setup), ..Usage::default() };
            return Outcome::failed(&Error::launch("make a pipe")(error), usage);
        }
    };
    let launching = Instant::now();
    let started = start(&prepared, place, run, stdout_end, stderr_end).await;
    let mut seen = Seen::launched(launching.elapsed());
    match started {
        Ok(container) => {
            let watch = Watch {
                container: &container,
                group: &prepared.workspace.group,
                stdout: &stdout,
                stderr: &stderr,
                deadline: tokio::time::Instant::now() + limits.wall.0,
                cpu_limit: run.cpu_time,
                cpus: limits.cpus.0.div_ceil(1000),
            };
            seen.follow(&watch, cancel).await;
            seen.ran = true;
        }
        Err(NotStarted::Entry(fault)) => {
            seen.exec_fault = Some(fault);
            seen.end = End::Exit(fault.code());
        }
        Err(NotStarted::Memory) => seen.cause = Cause::Memory,
        Err(NotStarted::Fault(error)) => seen.fault = Some(error),
    }
    let remains = remains(prepared.workspace, run, &limits).await;
    let (stdout, stderr) = (stdout.finish().await, stderr.finish().await);
    conclude(Job { limits: &limits, setup, run }, seen, remains, stdout, stderr)
}

async fn start(
    prepared: &Prepared<'_>,
    place: &Place,
    run: &Run,
    stdout: OwnedFd,
    stderr: OwnedFd,
) -> Result<Container, NotStarted> {
    owner::give_all(prepared.job_dir(), place.ids.base)
        .map_err(Error::mount("give the submission to the container"))?;
    let (rootfs, job_dir, tmp) = (place.rootfs(), place.job_dir(), place.tmp());
    let container = spec::Container {
        rootfs: &rootfs,
        job_dir: &job_dir,
        tmp: &tmp,
        argv: run.entry.argv(&run.exercise),
        working_dir: run.entry.working_dir(),
        env: &prepared.env,
        ids: (place.ids.base, COUNT),
        cgroup: place.host.entered.tree.oci_path(place.number),
        limits: &prepared.limits,
    };
    let spec = spec::spec(&container).map_err(Error::launch("describe the container"))?;
    prepared.workspace.runtime.start(&spec, stdout, stderr).await
}

impl Seen {
    fn launched(launch: Duration) -> Self {
        Self {
            cause: Cause::Ended,
            end: End::Exit(1),
            exec_fault: None,
            fault: None,
            launch,
            wall: Duration::ZERO,
            ran: false,
        }
    }

    /// Watches a container to its end, which it makes if it must.
    async fn follow(&mut self, watch: &Watch<'_>, cancel: &CancellationToken) {
        let begun = Instant::now();
        self.cause = watch.wait(cancel).await;
        self.wall = begun.elapsed();
        if self.cause != Cause::Ended {
            watch.container.kill();
        }
        let ended = tokio::time::timeout(END_DEADLINE, watch.container.ended()).await;
        match ended.map_err(io::Error::from).flatten().and_then(|()| watch.container.end()) {
            Ok(end) => self.end = end,
            Err(error) => self.fault = Some(Error::launch("end the container")(error)),
        }
    }
}

/// Ends what still runs, reads what it used and wrote, and removes all that the job had.
async fn remains(workspace: Workspace, run: &Run, limits: &Limits) -> Remains {
    let (entry, limits) = (run.entry, limits.clone());
    let work = move || {
        if let Err(error) = workspace.group.kill() {
            return Remains { fault: Some(error), ..Remains::default() };
        }
        let counters = workspace.group.counters();
        let was_inside = !workspace.group.watched().0.is_zero();
        let collected = collect::collect(workspace.job_dir.as_fd(), entry, &limits);
        drop(workspace);
        Remains { counters, was_inside, collected, fault: None }
    };
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        let fault = Error::launch("collect what a job left")(io::Error::other(error));
        Remains { fault: Some(fault), ..Remains::default() }
    })
}

/// What a verdict is measured by.
#[derive(Clone, Copy)]
struct Job<'a> {
    limits: &'a Limits,
    setup: Duration,
    run: &'a Run,
}

fn conclude(job: Job<'_>, seen: Seen, remains: Remains, stdout: Captured, stderr: Captured) -> Outcome {
    let counters = remains.counters;
    let usage = usage(&job, &seen, &counters, &stdout, &stderr);
    let unlimited = (seen.ran && !remains.was_inside).then(ran_outside);
    let fault = seen.fault.or(remains.fault).or(unlimited);
    if let Some(error) = fault.filter(|_| counters.oom_kills == 0) {
        // What runc wrote to the container's streams may name paths of this machine.
        tracing::error!(%error, "a job's container failed");
        return Outcome::failed(&error, usage);
    }
    let exec_fault =
        seen.exec_fault.or_else(|| runc::exec_fault(job.run.entry.script(), seen.end, &stderr.bytes));
    let (reason, message) = judge(&Facts {
        limits: job.limits,
        cpu_limit: job.run.cpu_time,
        cause: seen.cause,
        end: seen.end,
        wall: seen.wall,
        cpu: counters.cpu_user + counters.cpu_system,
        oom_kills: counters.oom_kills,
        pids_denied: counters.pids_denied,
        stdout: stdout.total,
        stderr: stderr.total,
        exec_fault,
        output: remains.collected.fault.as_ref(),
    });
    Outcome {
        reason,
        message,
        exit_status: match (exec_fault, seen.end) {
            (Some(fault), _) => Some(fault.code()),
            (None, End::Exit(code)) => Some(code),
            (None, End::Signal(_)) => None,
        },
        stdout,
        stderr,
        usage,
        files: remains.collected.files,
        hints: remains
            .collected
            .refused
            .iter()
            .map(|(name, fault)| format!("{name} was refused: {fault}"))
            .collect(),
    }
}

/// A container that was not in its group had no limits, whatever it wrote.
fn ran_outside() -> Error {
    Error::cgroup("limit the container")(io::Error::other("runc started it outside of its control group"))
}

fn usage(job: &Job<'_>, seen: &Seen, counters: &Counters, stdout: &Captured, stderr: &Captured) -> Usage {
    Usage {
        setup_ms: millis(job.setup),
        launch_ms: millis(seen.launch),
        wall_ms: millis(seen.wall),
        cpu_user_ms: millis(counters.cpu_user),
        cpu_sys_ms: millis(counters.cpu_system),
        memory_peak_bytes: counters.memory_peak,
        pids_peak: counters.pids_peak,
        stdout_bytes: stdout.total,
        stderr_bytes: stderr.total,
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
