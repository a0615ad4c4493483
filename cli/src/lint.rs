//! `lint`: what the API server would say of a manifest, without one.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::{fs, iter};

use clap::Args;
use trackyard_crds::verdict::{self, Name, Verdict};

use crate::console::{Console, harmless};
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
    #[error("{file} is no manifest: {source}")]
    NoManifest {
        /// Which.
        file: String,
        /// Why.
        source: verdict::Error,
    },
}

/// Runs `lint`.
///
/// # Errors
/// If a file cannot be read, or is no YAML.
pub fn run(args: &Lint, console: Console) -> Result<Code, Error> {
    let mut code = Code::Done;
    for file in &args.files {
        for verdict in judge(file)? {
            if matches!(verdict, Verdict::Bad(..)) {
                code = Code::Faulty;
            }
            for line in lines(&verdict) {
                console.data(&harmless(&format!("{}: {line}", file.display())))?;
            }
        }
    }
    Ok(code)
}

fn judge(file: &Path) -> Result<Vec<Verdict>, LintError> {
    let shown = file.display().to_string();
    let text = read(file).map_err(|source| LintError::Unreadable { file: shown.clone(), source })?;
    verdict::of_manifest(&text).map_err(|source| LintError::NoManifest { file: shown, source })
}

fn read(file: &Path) -> io::Result<String> {
    if file != Path::new("-") {
        return fs::read_to_string(file);
    }
    let mut text = String::new();
    io::stdin().read_to_string(&mut text)?;
    Ok(text)
}

fn lines(verdict: &Verdict) -> Vec<String> {
    let head = |Name { kind, name }: &Name| format!("{kind}/{name}");
    match verdict {
        Verdict::Good(name) => iter::once(format!("{}: good", head(name))).collect(),
        Verdict::Foreign(name) => iter::once(format!("{}: none of Trackyard's kinds", head(name))).collect(),
        Verdict::Bad(name, faults) => faults.iter().map(|fault| format!("{}: {fault}", head(name))).collect(),
    }
}
