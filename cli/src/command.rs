//! The commands.

use clap::{Parser, Subcommand};

use crate::build::{self, BuildArgs};
use crate::console::Console;
use crate::error::CommandError;
use crate::exit_code::{self, Code};
use crate::keys::{self, KeysArgs};
use crate::lint::{self, LintArgs};
use crate::local::{self, LocalArgs};
use crate::status::{self, StatusArgs};
use crate::submit::{self, SubmitArgs};
use crate::versions::{self, DeployArgs, UnloadArgs, VersionsArgs};

/// Run submissions through Trackyard, and administer it
#[derive(Debug, Parser)]
#[command(name = "trackyard", version, after_help = exit_code::help(), max_term_width = 100)]
pub struct Cli {
    /// The command to run.
    #[command(subcommand)]
    pub command: Command,
}

/// A command with its arguments.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run one submission in its track's container and show the result
    Submit(SubmitArgs),
    /// List the workers with their topics, busy slots and ready versions
    Status(StatusArgs),
    /// Build a container version from its tooling repository and release it
    Build(BuildArgs),
    /// Deploy a container version, so that jobs may name it
    Deploy(DeployArgs),
    /// Unload a container version, so that jobs may no longer name it
    Unload(UnloadArgs),
    /// List the deployed container versions, or all that the image source has
    Versions(VersionsArgs),
    /// Make CURVE keys for clients, workers and routers
    Keys(KeysArgs),
    /// Check Kubernetes manifests as an API server would, without a cluster
    Lint(LintArgs),
    /// Run a whole Trackyard on this machine, on loopback only
    Local(LocalArgs),
}

impl Command {
    /// Runs the command.
    ///
    /// # Errors
    /// If the command fails; a failed submission is an exit code, not an error.
    pub fn run(self, console: Console) -> Result<Code, CommandError> {
        match self {
            Self::Submit(args) => submit::run(&args, console),
            Self::Status(args) => status::run(&args, console),
            Self::Build(args) => build::run(&args, console),
            Self::Deploy(args) => versions::deploy(&args, console),
            Self::Unload(args) => versions::unload(&args, console),
            Self::Versions(args) => versions::list(&args, console),
            Self::Keys(args) => keys::run(&args, console),
            Self::Lint(args) => lint::run(&args, console),
            Self::Local(args) => local::run(args, console),
        }
    }
}
