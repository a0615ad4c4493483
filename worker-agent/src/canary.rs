//! A static job that is known to be good, run in the same sandbox as any other: at the start, and when a verdict says
//! that the sandbox itself may be broken. A worker that cannot run it takes itself out.

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

use crate::sandbox::{Entry, Outcome, Rootfs, Run, Slot};

/// What may keep the canary from starting on a busy machine is no reason to leave. So long for its sandbox, and for itself.
const WALL: Duration = Duration::from_secs(10);

/// The known good job.
#[derive(Debug, Clone)]
pub struct Canary {
    layer: PathBuf,
    entry: Entry,
    exercise: ExerciseSlug,
}

/// Why the canary was not seen to sing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its image could not be made.
    #[error("cannot make the canary's image in {}: {source}; is the work directory writable?", dir.display())]
    Image {
        /// Where.
        dir: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The sandbox could not be made.
    #[error("a known good job could not be prepared: {0}; `trackyard-worker doctor` tells more")]
    Sandbox(#[from] crate::sandbox::Error),
    /// The sandbox was not made in time.
    #[error("a known good job was not prepared within {} s; `trackyard-worker doctor` tells more", WALL.as_secs())]
    Late,
    /// It ran, and not as it must.
    #[error("a known good job ended with {reason}: {message}; `trackyard-worker doctor` tells more")]
    Ended {
        /// Its verdict.
        reason: Reason,
        /// The verdict's text.
        message: String,
    },
}

impl Canary {
    /// Makes the canary's image in the work directory. `None` on an architecture for which there is no program: then only
    /// the jobs themselves tell whether the sandbox works.
    ///
    /// # Errors
    /// When the directory cannot be written.
    pub fn make(workdir: &Path) -> Result<Option<Self>, Error> {
        let entry = Entry::candidates(Channel::TestRunners).next();
        let (Some(program), Some(entry)) = (program::program(), entry) else { return Ok(None) };
        let layer = workdir.join("canary");
        let exercise = ExerciseSlug::new("canary").map_err(io::Error::other);
        let made = exercise.and_then(|exercise| write(&layer, entry, &program).map(|()| exercise));
        let exercise = made.map_err(|source| Error::Image { dir: layer.clone(), source })?;
        Ok(Some(Self { layer, entry, exercise }))
    }

    /// Runs it.
    ///
    /// # Errors
    /// When it does not end as it must.
    pub async fn sing(&self, slot: &mut Slot) -> Result<(), Error> {
        let rootfs = Rootfs { layers: vec![self.layer.clone()], env: Vec::new() };
        let limits = limits();
        let prepared = tokio::time::timeout(WALL, slot.prepare(&rootfs, &limits)).await;
        let prepared = prepared.map_err(|_| Error::Late)??;
        let run = Run { entry: self.entry, exercise: self.exercise.clone(), cpu_time: WALL };
        judge(prepared.run(&run, CancellationToken::new()).await, self.entry)
    }
}

fn judge(outcome: Outcome, entry: Entry) -> Result<(), Error> {
    let wrote = outcome.files.get(entry.result()).is_some_and(|bytes| bytes == program::RESULT);
    if outcome.reason.is_ok() && wrote {
        return Ok(());
    }
    Err(Error::Ended { reason: outcome.reason, message: outcome.message })
}

fn limits() -> Limits {
    Limits {
        wall: HumanDuration(WALL),
        cpus: Cpus(1000),
        memory: Bytes(64 << 20),
        pids: 32,
        job_folder: Bytes(1 << 20),
        job_inodes: 64,
        tmp: Bytes(1 << 20),
        ..Limits::default()
    }
}

/// The image: one layer with one program in it, under the name of an entry script.
fn write(layer: &Path, entry: Entry, program: &[u8]) -> io::Result<()> {
    let script = layer.join(entry.working_dir().trim_start_matches('/')).join(entry.script());
    for dir in script.parent().into_iter().flat_map(Path::ancestors) {
        if !dir.starts_with(layer) {
            break;
        }
        fs::create_dir_all(dir)?;
        fs::set_permissions(dir, Permissions::from_mode(0o755))?;
    }
    // Aside and renamed: another program may not be running from it, but a crash may have left half of one.
    let aside = script.with_extension("new");
    fs::write(&aside, program)?;
    fs::set_permissions(&aside, Permissions::from_mode(0o755))?;
    fs::rename(aside, script)
}
