//! A build's processes: in a control group that its caller made, and in pid, mount and control group namespaces of
//! their own, so that a kill takes all of them along, their mounts vanish with them, and what they call the top of the
//! control groups is their own group.

mod launch;
mod lines;

use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use launch::Launched;
pub use launch::Program;

/// How often the disk is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Where a build's lines go.
pub type Line<'a> = dyn for<'l> Fn(&'l str) + Send + Sync + 'a;

/// The control group of one build. Dropping it ends what still runs there.
pub trait Cage: Debug + Send + Sync {
    /// The files into which a process writes its id to come in.
    fn entrances(&self) -> Vec<PathBuf>;

    /// The mounted hierarchies, to be mounted anew as the build sees them.
    fn hierarchies(&self) -> Vec<Hierarchy>;

    /// Kills everything in it and waits until it is gone.
    ///
    /// # Errors
    /// When something does not end.
    fn kill(&self) -> io::Result<()>;

    /// True if something in it was killed for want of memory.
    fn was_out_of_memory(&self) -> bool;
}

/// One mounted hierarchy of control groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchy {
    /// `cgroup` or `cgroup2`.
    pub kind: &'static str,
    /// The mount's options, such as `memory`.
    pub options: String,
    /// Where.
    pub point: PathBuf,
}

/// What bounds a build's processes, besides its cage.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// How long nothing may be printed.
    pub idle: Duration,
    /// Bytes by which `dir` may grow.
    pub disk: u64,
    /// The directory that holds all that the build writes.
    pub dir: PathBuf,
}

/// Why a confined program did not end by itself.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It could not be started.
    #[error("cannot start {program}: {source}")]
    Spawn {
        /// Which.
        program: String,
        /// What the system says.
        source: io::Error,
    },
    /// It printed nothing for too long.
    #[error("nothing was printed for {0:?}, the limit")]
    Idle(Duration),
    /// It filled the disk.
    #[error("the build takes more than {0} bytes of disk, the limit")]
    Disk(u64),
    /// It took too much memory.
    #[error("the build was ended for want of memory")]
    Memory,
    /// The caller did not want it any more.
    #[error("cancelled")]
    Cancelled,
}

/// Runs a program to its end in `cage`, and gives its exit code; none if it was killed. Each line of its output goes
/// to `line`.
///
/// # Errors
/// When it cannot be started or breaks a bound; all that is in the cage is dead then.
pub async fn run(
    program: &Program,
    cage: &dyn Cage,
    bounds: &Bounds,
    line: &Line<'_>,
    stop: &CancellationToken,
) -> Result<Option<i32>, Error> {
    let mut launched = Launched::start(program, cage)?;
    let ended = attend(&mut launched, bounds, line, stop).await;
    if ended.is_err()
        && let Err(error) = cage.kill()
    {
        tracing::error!(%error, "a build's processes are left behind");
    }
    let memory = cage.was_out_of_memory();
    match ended {
        Ok(Some(0)) => Ok(Some(0)),
        Ok(_) if memory => Err(Error::Memory),
        other => other,
    }
}

/// Starts a program that stays, such as a daemon. It ends with the cage.
///
/// # Errors
/// When it cannot be started.
pub fn start(program: &Program, cage: &dyn Cage) -> Result<mpsc::Receiver<String>, Error> {
    let Launched { child, lines } = Launched::start(program, cage)?;
    tokio::spawn(async move {
        let mut child = child;
        let _ = child.wait().await;
    });
    Ok(lines)
}

async fn attend(
    launched: &mut Launched,
    bounds: &Bounds,
    line: &Line<'_>,
    stop: &CancellationToken,
) -> Result<Option<i32>, Error> {
    let mut quiet_since = Instant::now();
    let full = outgrown(&bounds.dir, bounds.disk);
    tokio::pin!(full);
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return Err(Error::Cancelled),
            () = &mut full => return Err(Error::Disk(bounds.disk)),
            printed = launched.lines.recv() => match printed {
                Some(printed) => {
                    quiet_since = Instant::now();
                    line(&printed);
                }
                None => return Ok(launched.exit_code().await),
            },
            () = tokio::time::sleep_until((quiet_since + bounds.idle).into()) => return Err(Error::Idle(bounds.idle)),
        }
    }
}

/// Ends once the directory has grown by more than `limit`.
fn outgrown(dir: &Path, limit: u64) -> impl Future<Output = ()> {
    let dir = dir.to_owned();
    async move {
        let first = measured(dir.clone()).await;
        loop {
            let begun = Instant::now();
            let now = measured(dir.clone()).await;
            if now.saturating_sub(first) > limit {
                return;
            }
            // Looking may take long where there are many files: a tenth of the time at most.
            tokio::time::sleep(LOOK.max(begun.elapsed() * 9)).await;
        }
    }
}

async fn measured(dir: PathBuf) -> u64 {
    tokio::task::spawn_blocking(move || crate::size::of(&dir)).await.unwrap_or_default()
}
