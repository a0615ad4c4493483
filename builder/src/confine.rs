//! Runs a build's processes in a cgroup that the caller made, and in pid, mount and cgroup namespaces of
//! their own. So a kill ends all of them, their mounts vanish with them, and they see their own group as the root of the
//! cgroups.

mod launch;
mod lines;

use std::fmt::Debug;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::size;
pub use launch::Program;
use launch::RunningProgram;

/// Interval between two measurements of a build's disk usage.
const DISK_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// A callback for each line that a build prints.
pub type OnLine<'a> = dyn for<'l> Fn(&'l str) + Send + Sync + 'a;

/// The cgroup of one build. Dropping it ends the processes that still run there.
pub trait BuildCgroup: Debug + Send + Sync {
    /// Returns the `cgroup.procs` files into which a process writes its id to join the group.
    fn procs_files(&self) -> Vec<PathBuf>;

    /// Returns the mounted hierarchies, which are mounted again inside the build's namespaces.
    fn hierarchies(&self) -> Vec<CgroupMount>;

    /// Kills all processes of the group and waits until they have ended.
    ///
    /// # Errors
    /// If a process does not end.
    fn kill(&self) -> io::Result<()>;

    /// Whether a process of the group was killed for lack of memory.
    fn was_out_of_memory(&self) -> bool;
}

/// A mounted hierarchy of cgroups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CgroupMount {
    /// `cgroup` or `cgroup2`.
    pub kind: &'static str,
    /// The mount options, such as `memory`.
    pub options: String,
    /// The mount point.
    pub mount_point: PathBuf,
}

/// Limits of a build's programs, besides those of its cgroup.
#[derive(Debug, Clone)]
pub struct RunLimits {
    /// How long a program may print nothing.
    pub idle_timeout: Duration,
    /// Maximum growth of `dir` in bytes.
    pub max_disk_bytes: u64,
    /// The directory that holds all that the build writes.
    pub dir: PathBuf,
}

/// A confined program did not start, or was ended.
#[derive(Debug, thiserror::Error)]
pub enum ConfineError {
    /// The program could not be started.
    #[error("cannot start {program}: {source}")]
    Spawn {
        /// The program.
        program: String,
        /// The system's error.
        source: io::Error,
    },
    /// The program printed nothing for too long.
    #[error("nothing was printed for {0:?}, the limit")]
    Idle(Duration),
    /// The build exceeded its disk limit.
    #[error("the build takes more than {0} bytes of disk, the limit")]
    Disk(u64),
    /// The build exceeded its memory limit.
    #[error("the build ran out of memory")]
    Memory,
    /// The caller cancelled the build.
    #[error("cancelled")]
    Cancelled,
}

/// Runs a program to its end in `cgroup`, and passes each line of its output to `on_line`. Returns its exit code, or
/// nothing if it was killed.
///
/// # Errors
/// If the program cannot be started or exceeds a limit. All processes of the group have been killed then.
pub async fn run(
    program: &Program,
    cgroup: &dyn BuildCgroup,
    limits: &RunLimits,
    on_line: &OnLine<'_>,
    stop: &CancellationToken,
) -> Result<Option<i32>, ConfineError> {
    let mut running = RunningProgram::start(program, cgroup)?;
    let ended = supervise(&mut running, limits, on_line, stop).await;
    if ended.is_err()
        && let Err(error) = cgroup.kill()
    {
        tracing::error!(%error, "cannot end a build's processes");
    }
    let was_out_of_memory = cgroup.was_out_of_memory();
    match ended {
        Ok(Some(0)) => Ok(Some(0)),
        Ok(_) if was_out_of_memory => Err(ConfineError::Memory),
        other => other,
    }
}

/// Starts a daemon, which ends with the cgroup. Returns the lines that it prints.
///
/// # Errors
/// If the daemon cannot be started.
pub fn spawn_daemon(
    program: &Program,
    cgroup: &dyn BuildCgroup,
) -> Result<mpsc::Receiver<String>, ConfineError> {
    let RunningProgram { mut child, lines } = RunningProgram::start(program, cgroup)?;
    tokio::spawn(async move {
        let _ = child.wait().await;
    });
    Ok(lines)
}

async fn supervise(
    running: &mut RunningProgram,
    limits: &RunLimits,
    on_line: &OnLine<'_>,
    stop: &CancellationToken,
) -> Result<Option<i32>, ConfineError> {
    let RunLimits { idle_timeout, max_disk_bytes, dir } = limits;
    let mut last_output = Instant::now();
    let disk_full = async {
        let limit = size::measure(dir).await.saturating_add(*max_disk_bytes);
        size::outgrown(dir, limit, DISK_CHECK_INTERVAL).await;
    };
    tokio::pin!(disk_full);
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return Err(ConfineError::Cancelled),
            () = &mut disk_full => return Err(ConfineError::Disk(*max_disk_bytes)),
            line = running.lines.recv() => match line {
                Some(line) => {
                    last_output = Instant::now();
                    on_line(&line);
                }
                None => return Ok(running.exit_code().await),
            },
            () = tokio::time::sleep_until((last_output + *idle_timeout).into()) => {
                return Err(ConfineError::Idle(*idle_timeout));
            }
        }
    }
}
