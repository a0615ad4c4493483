//! The guard process: it ends the jobs of a worker that is gone, however the worker ended.

use std::fs::OpenOptions;
use std::io::{self, PipeReader, PipeWriter, Read, Write};

use rustix::process::{Pid, WaitOptions, setsid, waitpid};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};

use super::cgroup::worker::WorkerCgroup;
use super::error::SandboxError;
use super::lock::Lock;
use super::orphans;
use crate::sys::{self, Fork};

/// The guard process, and the worker's end of a pipe to it. When that end closes (the worker dies, or this is dropped),
/// the guard kills what runs in the worker's cgroups and removes them.
#[derive(Debug)]
pub(crate) struct Guard {
    alive: Option<PipeWriter>,
    process: Pid,
}

impl Guard {
    /// Forks the guard. It holds `lock` until it exits, so no other worker takes this one's place before. Call this
    /// before a second thread exists.
    pub(crate) fn start(cgroup: &WorkerCgroup, lock: Lock) -> Result<Self, SandboxError> {
        let (watched, alive) = io::pipe().map_err(SandboxError::launch("make the guard's pipe"))?;
        match sys::fork().map_err(SandboxError::launch("fork the guard"))? {
            Fork::Parent { child } => {
                lock.keep_file();
                Ok(Self { alive: Some(alive), process: child })
            }
            Fork::Child => {
                // With its own copy open, the guard would never see the end.
                drop(alive);
                watch(watched, cgroup);
                drop(lock);
                sys::exit_child()
            }
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // A byte tells the guard that the worker ends by itself, without running jobs.
        if let Some(mut alive) = self.alive.take() {
            let _ = alive.write(&[1]);
        }
        let _ = waitpid(Some(self.process), WaitOptions::empty());
    }
}

fn watch(mut watched: PipeReader, cgroup: &WorkerCgroup) {
    let _ = leave_terminal();
    if !matches!(watched.read(&mut [0]), Ok(1)) {
        // A `runc` that is starting a job would make the job's groups again.
        orphans::kill();
    }
    let _ = cgroup.sweep();
}

/// Detaches from the terminal's signals and from the worker's output.
fn leave_terminal() -> io::Result<()> {
    setsid()?;
    let null = OpenOptions::new().read(true).write(true).open("/dev/null")?;
    dup2_stdin(&null)?;
    dup2_stdout(&null)?;
    Ok(dup2_stderr(&null)?)
}
