//! `local`: a whole Trackyard on one machine, on loopback. The router and the workers are processes, started from the
//! binaries beside this one. The S3 API runs in this process. Images come from a directory.
//!
//! All processes end with this one. On Ctrl-C and SIGTERM the workers drain. If this process is killed, the kernel sends
//! the others SIGTERM (see [`exec_with_parent`]), and only the temporary directory stays.

mod admin;
mod build;
mod child;
pub mod demo;
mod error;
mod exec_with_parent;
mod layouts;
mod leaks;
mod lifecycle;
mod plan;
mod platform;
mod ports;
mod prerequisites;
mod router_config;
mod run_one;
mod state_dir;
mod storage;
mod up;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use trackyard_protocol::name::TrackSlug;

use crate::console::Console;
use crate::error::CommandError;
use crate::exit_code::Code;

pub use error::LocalError;

/// Arguments of `local`.
#[derive(Debug, Args)]
pub struct LocalArgs {
    /// The command to run.
    #[command(subcommand)]
    command: LocalCommand,
}

#[derive(Debug, Subcommand)]
enum LocalCommand {
    /// Start a router, workers and an S3 API on loopback, and keep them running until Ctrl-C (as root)
    Up(up::UpArgs),
    /// Run one submission, then stop everything (as root)
    Run(run_one::RunArgs),
    /// Build images from git repositories on this machine (as root)
    Build(build::LocalBuildArgs),
    /// Run the example submissions and check every verdict, as `make demo` does (as root)
    Demo(demo::DemoArgs),
    /// Run a program that ends when the process that started it ends
    #[command(hide = true)]
    ExecWithParent(exec_with_parent::ExecArgs),
}

/// Arguments that several commands of `local` share.
#[derive(Debug, Clone, Args)]
pub struct PlatformArgs {
    /// The directory of image layouts, one for each repository, such as ruby-test-runner
    #[arg(long, value_name = "DIR", env = "TRACKYARD_IMAGES")]
    images: PathBuf,
    /// How many jobs each worker runs at a time
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    slots: u32,
    /// A track that gets a test-runner worker of its own; repeatable [default: ruby, or the first track with images]
    #[arg(long, value_name = "TRACK")]
    scoped: Vec<TrackSlug>,
}

/// Runs `local`.
///
/// # Errors
/// If a process cannot be started or dies, or the router does not answer.
pub fn run(args: LocalArgs, console: Console) -> Result<Code, CommandError> {
    if let LocalCommand::ExecWithParent(args) = args.command {
        return Err(exec_with_parent::run(&args));
    }
    prerequisites::check_root()?;
    let runtime = tokio::runtime::Runtime::new()?;
    // This thread starts the processes. The kernel ends them with the thread that started them, so it must stay.
    let code = runtime.block_on(async {
        match args.command {
            LocalCommand::Up(args) => up::run(args, console).await,
            LocalCommand::Run(args) => run_one::run(args, console).await,
            LocalCommand::Build(args) => build::run(args, console).await,
            LocalCommand::Demo(args) => demo::run(args, console).await,
            LocalCommand::ExecWithParent(args) => Err(exec_with_parent::run(&args)),
        }
    });
    // A blocking thread that still waits for an answer must not delay the exit.
    runtime.shutdown_background();
    code
}
