//! Carries out the command line. The process makes its namespaces before the runtime starts a thread.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use tokio::runtime::Runtime;
use trackyard_daemon::descriptors;

use crate::agent;
use crate::args::{Cli, Command, ListenArgs, WorkerArgs};
use crate::configure;
use crate::doctor;
use crate::sandbox::{SandboxError, enter_at};

/// How long work in other threads may go on at the end.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// Why a worker did not start, or ended.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("cannot find the work directory {}: {source}", dir.display())]
    Dir { dir: PathBuf, source: io::Error },
    #[error("cannot start the runtime: {0}")]
    Runtime(io::Error),
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    #[error(transparent)]
    Agent(#[from] agent::AgentError),
    #[error(transparent)]
    Configure(#[from] configure::ConfigureError),
}

/// Carries out the command line. Exits with 0 if that succeeded, and with 1 if it failed; the log then says why.
#[must_use]
pub fn start(cli: Cli) -> ExitCode {
    if let Err(error) = cli.logs.init() {
        // There is no log yet. If standard error is closed too, only the exit code is left.
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

fn listen(args: ListenArgs) -> Result<(), Error> {
    let slots = args.slots.unwrap_or_else(processors);
    descriptors::raise();
    let entered = enter_at(&args.worker.workdir, args.worker.name.clone(), slots, &args.sandbox)?;
    let args =
        ListenArgs { worker: WorkerArgs { workdir: absolute(&args.worker.workdir)?, ..args.worker }, ..args };
    with_runtime(agent::listen(args, slots, entered))?;
    Ok(())
}

fn configure(args: crate::args::ConfigureArgs) -> Result<(), Error> {
    let entered = enter_at(&args.worker.workdir, args.worker.name.clone(), 1, &args.sandbox)?;
    with_runtime(configure::configure(args, entered))?;
    Ok(())
}

fn absolute(dir: &Path) -> Result<PathBuf, Error> {
    std::path::absolute(dir).map_err(|source| Error::Dir { dir: dir.to_owned(), source })
}

/// Runs `work` on a new runtime. Work in other threads is not waited for forever at the end.
fn with_runtime<T, E: Into<Error>>(work: impl Future<Output = Result<T, E>>) -> Result<T, Error> {
    let runtime = Runtime::new().map_err(Error::Runtime)?;
    let done = runtime.block_on(work);
    runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
    done.map_err(Into::into)
}

fn processors() -> u32 {
    std::thread::available_parallelism().map_or(1, |count| u32::try_from(count.get()).unwrap_or(1))
}

fn fail(error: &dyn std::error::Error) -> ExitCode {
    tracing::error!(%error, "the worker ends");
    ExitCode::FAILURE
}
