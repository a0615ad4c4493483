//! `local`: a whole Trackyard on one machine. The router and the workers are processes, the binaries beside this one;
//! the S3 API is in this process; images are in a directory; all of it on loopback.
//!
//! Each part ends with this process, however that ends: Ctrl-C and SIGTERM let the workers drain; after a SIGKILL of
//! this process the kernel sends each part the SIGTERM (see [`tie`]), and only the temporary directory stays.

mod admin;
mod build;
mod child;
pub mod demo;
mod error;
mod home;
mod layouts;
mod leftovers;
mod lifecycle;
mod machine;
mod one;
mod plan;
mod platform;
mod ports;
mod seed;
mod storage;
mod tie;
mod up;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use trackyard_protocol::name::TrackSlug;

use crate::console::Console;
use crate::error::Error as CommandError;
use crate::exit_code::Code;

pub use error::Error;

/// Arguments of `local`.
#[derive(Debug, Args)]
pub struct LocalArgs {
    /// What to do.
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Bring up a router, workers, an S3 API and an image directory on loopback, until Ctrl-C (as root)
    Up(up::Up),
    /// Run one submission, then take everything down (as root)
    Run(one::Run),
    /// Build images from git repositories of this machine (as root)
    Build(build::Build),
    /// Run the example submissions and check every verdict: what `make demo` runs (as root)
    Demo(demo::Demo),
    /// Run a program that ends when the process that started it does
    #[command(hide = true)]
    Tie(tie::Tie),
}

/// What all forms of `local` need.
#[derive(Debug, Clone, Args)]
pub struct PartsArgs {
    /// The directory of image layouts, one for each repository, such as ruby-test-runner
    #[arg(long, value_name = "DIR", env = "TRACKYARD_IMAGES")]
    images: PathBuf,
    /// How many jobs each worker runs at a time
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    slots: u32,
    /// A track with a test-runner worker of its own; may repeat [default: ruby, or the first track with images]
    #[arg(long, value_name = "TRACK")]
    scoped: Vec<TrackSlug>,
}

/// Runs `local`.
///
/// # Errors
/// If it cannot start, a part dies, or the router does not answer.
pub fn run(args: LocalArgs, console: Console) -> Result<Code, CommandError> {
    if let Command::Tie(args) = args.command {
        return Err(tie::run(&args).into());
    }
    machine::check_root()?;
    let runtime = tokio::runtime::Runtime::new()?;
    // The parts are started by this thread: the kernel ties them to the thread that started them.
    let code = runtime.block_on(async {
        match args.command {
            Command::Up(args) => up::run(args, console).await,
            Command::Run(args) => one::run(args, console).await,
            Command::Build(args) => build::run(args, console).await,
            Command::Demo(args) => demo::run(args, console).await,
            Command::Tie(args) => Err(tie::run(&args).into()),
        }
    });
    // A thread that still waits for an answer must not keep this process.
    runtime.shutdown_background();
    code
}
