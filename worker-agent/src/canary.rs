//! The canary: a job that is known to be good and runs in the same sandbox as any other. It runs at the start, and when
//! a verdict suggests that the sandbox itself is broken. A worker that cannot run it stops taking jobs.

mod program;

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use trackyard_protocol::channel::Channel;
use trackyard_protocol::limits::Limits;
use trackyard_protocol::name::ExerciseSlug;
use trackyard_protocol::quantity::{Bytes, Cpus, HumanDuration};
use trackyard_protocol::reason::Reason;

use crate::sandbox::{EntryScript, JobOutcome, Rootfs, RunSpec, Slot};

/// How long preparing the canary may take, and how long it may run. Long enough that a busy machine is not taken for a
/// broken one.
const CANARY_TIMEOUT: Duration = Duration::from_secs(10);

/// The known good job.
#[derive(Debug, Clone)]
pub struct Canary {
    layer: PathBuf,
    entry: EntryScript,
    exercise: ExerciseSlug,
}

/// Why the canary failed.
#[derive(Debug, thiserror::Error)]
pub enum CanaryError {
    /// Its image could not be made.
    #[error("cannot make the canary's image in {}: {source}; is the work directory writable?", dir.display())]
    Image {
        /// The image's directory.
        dir: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The sandbox could not be prepared.
    #[error("a known good job could not be prepared: {0}; run `trackyard-worker doctor` to find out why")]
    Sandbox(#[from] crate::sandbox::SandboxError),
    /// The sandbox was not prepared in time.
    #[error("a known good job was not prepared within {} s; run `trackyard-worker doctor` to find out why", CANARY_TIMEOUT.as_secs())]
    Timeout,
    /// It ran, but its verdict or its output was wrong.
    #[error("a known good job ended with {reason}: {message}; run `trackyard-worker doctor` to find out why")]
    Ended {
        /// Its verdict.
        reason: Reason,
        /// The verdict's text.
        message: String,
    },
}

impl Canary {
    /// Makes the canary's image in the work directory. Returns `None` on an architecture without a program: there only
    /// the jobs themselves show whether the sandbox works.
    ///
    /// # Errors
    /// When the directory cannot be written.
    pub fn make(workdir: &Path) -> Result<Option<Self>, CanaryError> {
        let entry = EntryScript::candidates(Channel::TestRunners).next();
        let (Some(program), Some(entry)) = (program::program(), entry) else { return Ok(None) };
        let layer = workdir.join("canary");
        let exercise = ExerciseSlug::new("canary").map_err(io::Error::other);
        let made = exercise.and_then(|exercise| write(&layer, entry, &program).map(|()| exercise));
        let exercise = made.map_err(|source| CanaryError::Image { dir: layer.clone(), source })?;
        Ok(Some(Self { layer, entry, exercise }))
    }

    /// Runs the canary in a slot.
    ///
    /// # Errors
    /// When it cannot be run, or does not end with the expected result.
    pub async fn run(&self, slot: &mut Slot) -> Result<(), CanaryError> {
        let rootfs = Rootfs { layers: vec![self.layer.clone()], env: Vec::new() };
        let limits = limits();
        let prepared = tokio::time::timeout(CANARY_TIMEOUT, slot.prepare(&rootfs, &limits)).await;
        let prepared = prepared.map_err(|_| CanaryError::Timeout)??;
        let run = RunSpec { entry: self.entry, exercise: self.exercise.clone(), cpu_time: CANARY_TIMEOUT };
        judge(prepared.run(&run, CancellationToken::new()).await, self.entry)
    }
}

fn judge(outcome: JobOutcome, entry: EntryScript) -> Result<(), CanaryError> {
    let wrote = outcome.files.get(entry.result()).is_some_and(|bytes| bytes == program::RESULT);
    if outcome.reason.is_ok() && wrote {
        return Ok(());
    }
    Err(CanaryError::Ended { reason: outcome.reason, message: outcome.message })
}

fn limits() -> Limits {
    Limits {
        wall: HumanDuration(CANARY_TIMEOUT),
        cpus: Cpus(1000),
        memory: Bytes(64 << 20),
        pids: 32,
        job_folder: Bytes(1 << 20),
        job_inodes: 64,
        tmp: Bytes(1 << 20),
        ..Limits::default()
    }
}

/// Writes the image: one layer with one program in it, named like an entry script.
fn write(layer: &Path, entry: EntryScript, program: &[u8]) -> io::Result<()> {
    let script = layer.join(entry.working_dir().trim_start_matches('/')).join(entry.script());
    for dir in script.parent().into_iter().flat_map(Path::ancestors) {
        if !dir.starts_with(layer) {
            break;
        }
        fs::create_dir_all(dir)?;
        fs::set_permissions(dir, Permissions::from_mode(0o755))?;
    }
    // Written beside it and renamed, because a crash may have left an incomplete file.
    let new = script.with_extension("new");
    fs::write(&new, program)?;
    fs::set_permissions(&new, Permissions::from_mode(0o755))?;
    fs::rename(new, script)
}
