//! `local tie`: becomes another program, after asking the kernel for a SIGTERM when the parent ends. So no part of
//! `local` outlives it, not even after a SIGKILL; the request survives `exec`, and a process can ask only for itself.

use std::os::unix::process::CommandExt;
use std::process::Command;

use clap::Args;
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

use super::Error;

/// Arguments of `tie`.
#[derive(Debug, Args)]
pub(super) struct Tie {
    /// The process that must be the parent
    #[arg(long)]
    parent: i32,
    /// The program and its arguments
    #[arg(required = true, last = true)]
    command: Vec<String>,
}

/// Becomes the program; comes back only if it cannot.
pub(super) fn run(args: &Tie) -> Error {
    let name = args.command.first().cloned().unwrap_or_default();
    if let Err(error) = set_parent_process_death_signal(Some(Signal::TERM)) {
        return Error::Start { name, source: error.into() };
    }
    // The parent may have ended before the request.
    if getppid() != Pid::from_raw(args.parent) {
        return Error::Interrupted;
    }
    let source = Command::new(&name).args(args.command.iter().skip(1)).exec();
    Error::Start { name, source }
}
