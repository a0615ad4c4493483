//! What is done with a command line. The process makes its namespaces before the runtime starts a thread.

use std::fs::DirBuilder;
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use tokio::runtime::Runtime;
use trackyard_daemon::descriptors;
use trackyard_protocol::name::WorkerName;

use crate::agent;
use crate::args::{Cli, Command, Listen, SandboxArgs};
use crate::configure;
use crate::doctor;
use crate::sandbox::{self, Entered, SandboxConfig};

/// How long work that nobody waits for may go on at the end.
const LAST_WORK: Duration = Duration::from_secs(2);

/// Why a worker did not begin, or ended.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("cannot make the work directory {}: {source}", dir.display())]
    Dir { dir: PathBuf, source: io::Error },
    #[error("cannot start the runtime: {0}")]
    Runtime(io::Error),
    #[error(transparent)]
    Sandbox(#[from] sandbox::Error),
    #[error(transparent)]
    Agent(#[from] agent::Error),
    #[error(transparent)]
    Configure(#[from] configure::Error),
}

/// Does what the command line says. 0: done; 1: it failed, and the log says why.
#[must_use]
pub fn start(cli: Cli) -> ExitCode {
    if let Err(error) = cli.logs.init() {
        // Nowhere to log to yet; and if standard error is closed too, the exit code has to do.
        let _ = writeln!(io::stderr(), "trackyard-worker: {error}");
        return ExitCode::FAILURE;
    }
    let done = match cli.command {
        Command::Listen(args) => listen(*args),
        Command::Configure(args) => configure(*args),
        Command::Doctor(args) => return doctor::doctor(&args),
    };
    done.map_or_else(|error| fail(&error), |()| ExitCode::SUCCESS)
}

fn listen(args: Listen) -> Result<(), Error> {
    let slots = args.slots.unwrap_or_else(processors);
    descriptors::raise();
    let entered = enter(&args.place.workdir, args.place.name.clone(), slots, &args.sandbox)?;
    let args = Listen {
        place: crate::args::Place { workdir: absolute(&args.place.workdir)?, ..args.place },
        ..args
    };
    with_runtime(agent::listen(args, slots, entered))?;
    Ok(())
}

fn configure(args: crate::args::Configure) -> Result<(), Error> {
    let entered = enter(&args.place.workdir, args.place.name.clone(), 1, &args.sandbox)?;
    with_runtime(configure::configure(args, entered))?;
    Ok(())
}

/// Makes the work directory and enters the sandbox. No thread exists yet.
pub(crate) fn enter_at(
    workdir: &Path,
    worker: WorkerName,
    slots: u32,
    args: &SandboxArgs,
) -> Result<Entered, String> {
    enter(workdir, worker, slots, args).map_err(|error| error.to_string())
}

fn enter(workdir: &Path, worker: WorkerName, slots: u32, args: &SandboxArgs) -> Result<Entered, Error> {
    let workdir = absolute(workdir)?;
    let made = DirBuilder::new().recursive(true).mode(0o711).create(&workdir);
    made.map_err(|source| Error::Dir { dir: workdir.clone(), source })?;
    let SandboxArgs { runc, run_dir, allow_unmapped_layers } = args.clone();
    let config = SandboxConfig { workdir, worker, slots, runc, allow_unmapped_layers, run_dir };
    Ok(sandbox::enter(config)?)
}

fn absolute(dir: &Path) -> Result<PathBuf, Error> {
    std::path::absolute(dir).map_err(|source| Error::Dir { dir: dir.to_owned(), source })
}

/// Work that goes on in other threads at the end is not waited for for ever.
fn with_runtime<T, E: Into<Error>>(work: impl Future<Output = Result<T, E>>) -> Result<T, Error> {
    let runtime = Runtime::new().map_err(Error::Runtime)?;
    let done = runtime.block_on(work);
    runtime.shutdown_timeout(LAST_WORK);
    done.map_err(Into::into)
}

fn processors() -> u32 {
    std::thread::available_parallelism().map_or(1, |count| u32::try_from(count.get()).unwrap_or(1))
}

fn fail(error: &dyn std::error::Error) -> ExitCode {
    tracing::error!(%error, "the worker ends");
    ExitCode::FAILURE
}
