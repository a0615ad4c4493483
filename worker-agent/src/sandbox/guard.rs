//! Ends the jobs of a worker that is gone, however it went.

use std::fs::OpenOptions;
use std::io::{self, PipeReader, PipeWriter, Read, Write};

use rustix::process::{Pid, WaitOptions, setsid, waitpid};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};

use super::cgroup::tree::Tree;
use super::error::Error;
use super::helpers;
use super::lock::Lock;
use crate::sys::{self, Side};

/// The guard process, and the worker's end of a pipe to it. When that closes, with the worker or by being dropped,
/// the guard kills what runs in the worker's control groups and removes them.
#[derive(Debug)]
pub(crate) struct Guard {
    alive: Option<PipeWriter>,
    process: Pid,
}

impl Guard {
    /// Forks the guard, which holds `lock` to its end: no other worker takes this one's place before. To be called
    /// before a second thread exists.
    pub(crate) fn start(tree: &Tree, lock: Lock) -> Result<Self, Error> {
        let (watched, alive) = io::pipe().map_err(Error::launch("make the guard's pipe"))?;
        match sys::fork().map_err(Error::launch("fork the guard"))? {
            Side::Parent { child } => {
                lock.leave();
                Ok(Self { alive: Some(alive), process: child })
            }
            Side::Child => {
                // With its own copy open, the guard would never see the end.
                drop(alive);
                watch(watched, tree);
                drop(lock);
                sys::leave()
            }
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // A worker that ends by itself says so: it has let go of its jobs.
        if let Some(mut alive) = self.alive.take() {
            let _ = alive.write(&[1]);
        }
        let _ = waitpid(Some(self.process), WaitOptions::empty());
    }
}

fn watch(mut watched: PipeReader, tree: &Tree) {
    let _ = leave_terminal();
    if !matches!(watched.read(&mut [0]), Ok(1)) {
        // A `runc` that was starting a job would make its groups again.
        helpers::end();
    }
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
