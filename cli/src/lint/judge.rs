//! Judges manifests by the rules of the resources' schemas.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::{fs, iter};

use trackyard_crds::verdict::{self, Name, Verdict};

use super::LintError;
use crate::console::{Console, harmless};
use crate::error::Error;
use crate::exit_code::Code;

/// Prints a line for each object and fault of the files.
pub(super) fn run(files: &[PathBuf], console: Console) -> Result<Code, Error> {
    let mut code = Code::Done;
    for file in files {
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
