//! The run of a build by a driver.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

use super::{BuildSpec, DriverError};
use crate::confine::{BuildCgroup, OnLine, Program, RunLimits, run};

const MAX_TAIL_LINES: usize = 6;
const MAX_TAIL_LINE_CHARS: usize = 300;

/// One build: its specification, and the environment that its programs run in.
pub struct BuildRun<'a> {
    /// The specification of the build.
    pub spec: &'a BuildSpec,
    /// The cgroup of its processes.
    pub cgroup: &'a dyn BuildCgroup,
    /// Receives each line that is printed.
    pub on_line: &'a OnLine<'a>,
    /// Ends the build.
    pub stop: &'a CancellationToken,
}

impl BuildRun<'_> {
    /// Runs one program of the build, which must succeed.
    pub(super) async fn run_program(&self, program: &Program) -> Result<(), DriverError> {
        let tail = OutputTail::default();
        let on_line = |line: &str| {
            tail.push(line);
            (self.on_line)(line);
        };
        let BuildSpec { idle_timeout, max_disk_bytes, dir, .. } = self.spec;
        let limits =
            RunLimits { idle_timeout: *idle_timeout, max_disk_bytes: *max_disk_bytes, dir: dir.clone() };
        match run(program, self.cgroup, &limits, &on_line, self.stop).await? {
            Some(0) => Ok(()),
            _ => Err(DriverError::Failed { output: tail.text() }),
        }
    }
}

/// The last lines that a program printed, for error messages.
#[derive(Debug, Default)]
pub(super) struct OutputTail(Mutex<VecDeque<String>>);

impl OutputTail {
    pub(super) fn push(&self, line: &str) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == MAX_TAIL_LINES {
            lines.pop_front();
        }
        lines.push_back(line.chars().filter(|c| !c.is_control()).take(MAX_TAIL_LINE_CHARS).collect());
    }

    pub(super) fn text(&self) -> String {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lines: Vec<&str> =
            lines.iter().map(String::as_str).filter(|line| !line.trim().is_empty()).collect();
        if lines.is_empty() { "it printed nothing".to_owned() } else { lines.join("; ") }
    }
}
