//! `lint`: checks Kubernetes manifests as an API server would, without a cluster.

#[cfg(feature = "lint")]
mod check;

use std::io;
use std::path::PathBuf;

use clap::Args;

use crate::console::Console;
use crate::error::{CommandError, Failure};
use crate::exit_code::Code;

/// Arguments of `lint`.
#[derive(Debug, Args)]
pub struct LintArgs {
    /// Manifests in YAML or JSON; - for standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// Why a file cannot be checked.
#[derive(Debug, thiserror::Error)]
pub enum LintError {
    /// The file cannot be read.
    #[error("cannot read {file}: {source}")]
    Unreadable {
        /// The file.
        file: String,
        /// The system's error.
        source: io::Error,
    },
    /// The file is not a manifest.
    #[cfg(feature = "lint")]
    #[error("{file} is not a manifest: {source}")]
    NotAManifest {
        /// The file.
        file: String,
        /// What is wrong with the file.
        source: trackyard_crds::verdict::Error,
    },
    /// This program was built without the rules of the resources.
    #[cfg(not(feature = "lint"))]
    #[error("this trackyard was built without the feature `lint`; build it with `cargo build -p trackyard`")]
    NoLintSupport,
}

impl Failure for LintError {
    fn code(&self) -> Code {
        Code::Usage
    }
}

/// Runs `lint`.
///
/// # Errors
/// If a file cannot be read, or is not a manifest.
#[cfg(feature = "lint")]
pub fn run(args: &LintArgs, console: Console) -> Result<Code, CommandError> {
    check::run(&args.files, console)
}

/// Refuses `lint`: this program was built without the rules of the resources.
///
/// # Errors
/// Always.
#[cfg(not(feature = "lint"))]
pub fn run(_: &LintArgs, _: Console) -> Result<Code, CommandError> {
    Err(LintError::NoLintSupport.into())
}
