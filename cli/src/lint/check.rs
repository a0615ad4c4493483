//! Checks manifests by the rules of the custom resources.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use trackyard_crds::verdict::{self, Name, Verdict};

use super::LintError;
use crate::console::{Console, escape_control};
use crate::error::CommandError;
use crate::exit_code::Code;

/// Prints a line for each valid or foreign object, and for each fault of an invalid one.
pub(super) fn run(files: &[PathBuf], console: Console) -> Result<Code, CommandError> {
    let mut code = Code::Done;
    for file in files {
        for verdict in check(file)? {
            if matches!(verdict, Verdict::Bad(..)) {
                code = Code::Faulty;
            }
            for line in lines(&verdict) {
                console.data(&escape_control(&format!("{}: {line}", file.display())))?;
            }
        }
    }
    Ok(code)
}

fn check(file: &Path) -> Result<Vec<Verdict>, LintError> {
    let shown = file.display().to_string();
    let text = read(file).map_err(|source| LintError::Unreadable { file: shown.clone(), source })?;
    verdict::of_manifest(&text).map_err(|source| LintError::NotAManifest { file: shown, source })
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
    match verdict {
        Verdict::Good(name) => vec![format!("{}: good", object(name))],
        Verdict::Foreign(name) => vec![format!("{}: not a resource of Trackyard", object(name))],
        Verdict::Bad(name, faults) => {
            faults.iter().map(|fault| format!("{}: {fault}", object(name))).collect()
        }
    }
}

fn object(Name { kind, name }: &Name) -> String {
    format!("{kind}/{name}")
}
