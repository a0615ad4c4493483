//! `doctor`: checks whether this machine can run jobs. Each failed check comes with a remedy.

mod machine;

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use tokio::runtime::Runtime;
use trackyard_protocol::name::WorkerName;

use crate::args;
use crate::canary::Canary;
use crate::sandbox::{Entered, Host, enter_at};

/// The result of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Finding {
    /// All is well: what was found.
    Good(String),
    /// Jobs can run, but something could be better: what, and what to do about it.
    Warning(String),
    /// No job can run: what is missing, and what to do about it.
    Bad(String),
}

/// The name of a check and its result.
pub(crate) type Check = (&'static str, Finding);

/// Checks the machine and prints the findings. Exits with 1 if no job can be run.
#[must_use]
pub fn doctor(args: &args::DoctorArgs) -> ExitCode {
    let mut checks = machine::checks(&args.workdir);
    checks.extend(sandbox(args));
    // After the sandbox, which is entered before there is a second thread.
    checks.extend(machine::drivers(args.tools.as_deref()));
    let healthy = checks.iter().all(|(_, finding)| !matches!(finding, Finding::Bad(_)));
    let written = checks.iter().try_for_each(|check| writeln!(io::stdout(), "{}", line(check)));
    if healthy && written.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn line((name, finding): &Check) -> String {
    let (mark, text) = match finding {
        Finding::Good(text) => ("ok  ", text),
        Finding::Warning(text) => ("warn", text),
        Finding::Bad(text) => ("FAIL", text),
    };
    format!("{mark}  {name:<18}  {text}")
}

fn sandbox(args: &args::DoctorArgs) -> Vec<Check> {
    let worker = match WorkerName::new("doctor") {
        Ok(worker) => worker,
        Err(error) => return vec![("sandbox", Finding::Bad(error.to_string()))],
    };
    match enter_at(&args.workdir, worker, 1, &args.sandbox) {
        Err(error) => vec![("sandbox", Finding::Bad(error.to_string()))],
        Ok(entered) => host(entered, &args.workdir),
    }
}

fn host(entered: Entered, workdir: &Path) -> Vec<Check> {
    let mut checks: Vec<Check> = Host::checks(&entered)
        .into_iter()
        .map(|check| (check.name, check.result.map_or_else(|e| Finding::Bad(e.to_string()), Finding::Good)))
        .collect();
    if checks.iter().all(|(_, finding)| matches!(finding, Finding::Good(_))) {
        let ran = run_canary(entered, workdir)
            .map_or_else(Finding::Bad, |()| Finding::Good("it ended well".to_owned()));
        checks.push(("a known good job", ran));
    }
    checks
}

fn run_canary(entered: Entered, workdir: &Path) -> Result<(), String> {
    let workdir = std::path::absolute(workdir).map_err(|error| error.to_string())?;
    let runtime = Runtime::new().map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let host = Host::detect(entered).map_err(|error| error.to_string())?;
        let mut slots = host.slots().map_err(|error| error.to_string())?;
        let canary = Canary::make(&workdir).map_err(|error| error.to_string())?;
        match (canary, slots.first_mut()) {
            (Some(canary), Some(slot)) => canary.run(slot).await.map_err(|error| error.to_string()),
            _ => Ok(()),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_start_with_a_mark() {
        let bad = ("runc", Finding::Bad("it is missing; install it".to_owned()));
        assert_eq!(line(&bad), "FAIL  runc                it is missing; install it");
        assert!(line(&("disk", Finding::Warning(String::new()))).starts_with("warn"));
    }
}
