//! Ends the jobs of a worker that is gone, however it went.

use std::fs::OpenOptions;
use std::io::{self, PipeReader, PipeWriter, Read};

use rustix::process::setsid;
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};

use super::cgroup::tree::Tree;
use super::error::Error;
use crate::sys::{self, Side};

/// The worker's end of a pipe. When it closes, with the worker or by being dropped, the guard process kills what
/// runs in the worker's control groups and removes them.
#[derive(Debug)]
pub(crate) struct Guard {
    _alive: PipeWriter,
}

impl Guard {
    /// Forks the guard. To be called before a second thread exists.
    pub(crate) fn start(tree: &Tree) -> Result<Self, Error> {
        let (watched, alive) = io::pipe().map_err(Error::launch("make the guard's pipe"))?;
        match sys::fork().map_err(Error::launch("fork the guard"))? {
            Side::Parent => Ok(Self { _alive: alive }),
            Side::Child => {
                // With its own copy open, the guard would never see the end.
                drop(alive);
                watch(watched, tree);
                sys::leave()
            }
        }
    }
}

fn watch(mut watched: PipeReader, tree: &Tree) {
    let _ = leave_terminal();
    let _ = watched.read(&mut [0]);
    let _ = tree.sweep();
}

/// Out of reach of the terminal's signals, and without holding on to the worker's output.
fn leave_terminal() -> io::Result<()> {
    setsid()?;
    let null = OpenOptions::new().read(true).write(true).open("/dev/null")?;
    dup2_stdin(&null)?;
    dup2_stdout(&null)?;
    Ok(dup2_stderr(&null)?)
}
