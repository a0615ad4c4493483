//! `local exec-with-parent`: replaces this process with another program, after asking the kernel for a SIGTERM when the
//! parent ends. So no process of `local` outlives it, not even after a SIGKILL. The request survives `exec`, and a
//! process can make it only for itself.

use std::os::unix::process::CommandExt;
use std::process::Command;

use clap::Args;
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

use super::LocalError;
use crate::error::CommandError;

/// Arguments of `local exec-with-parent`.
#[derive(Debug, Args)]
pub(super) struct ExecArgs {
    /// The process that must be the parent
    #[arg(long)]
    parent: i32,
    /// The program and its arguments
    #[arg(required = true, last = true)]
    command: Vec<String>,
}

/// Replaces this process with the program; returns only if that fails.
pub(super) fn run(args: &ExecArgs) -> CommandError {
    let name = args.command.first().cloned().unwrap_or_default();
    if let Err(error) = set_parent_process_death_signal(Some(Signal::TERM)) {
        return LocalError::Start { name, source: error.into() }.into();
    }
    // The parent may have ended before the request.
    if getppid() != Pid::from_raw(args.parent) {
        return CommandError::Interrupted;
    }
    let source = Command::new(&name).args(args.command.iter().skip(1)).exec();
    LocalError::Start { name, source }.into()
}
