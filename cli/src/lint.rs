//! `lint`: what the API server would say of a manifest, without one.

#[cfg(feature = "lint")]
mod judge;

use std::io;
use std::path::PathBuf;

use clap::Args;

use crate::console::Console;
use crate::error::Error;
use crate::exit_code::Code;

/// Arguments of `lint`.
#[derive(Debug, Args)]
pub struct Lint {
    /// Manifests in YAML or JSON; - is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// Why a file cannot be judged.
#[derive(Debug, thiserror::Error)]
pub enum LintError {
    /// It cannot be read.
    #[error("cannot read {file}: {source}")]
    Unreadable {
        /// Which.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// It is no manifest.
    #[cfg(feature = "lint")]
    #[error("{file} is no manifest: {source}")]
    NoManifest {
        /// Which.
        file: String,
        /// Why.
        source: trackyard_crds::verdict::Error,
    },
    /// The program does not have the resources' rules.
    #[cfg(not(feature = "lint"))]
    #[error("this trackyard was built without the feature `lint`; build it with `cargo build -p trackyard`")]
    NoLintSupport,
}

/// Runs `lint`.
///
/// # Errors
/// If a file cannot be read, or is no YAML.
#[cfg(feature = "lint")]
pub fn run(args: &Lint, console: Console) -> Result<Code, Error> {
    judge::run(&args.files, console)
}

/// Refuses `lint`: this program does not have the resources' rules.
///
/// # Errors
/// Always.
#[cfg(not(feature = "lint"))]
pub fn run(_: &Lint, _: Console) -> Result<Code, Error> {
    Err(LintError::NoLintSupport.into())
}
