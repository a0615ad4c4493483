//! The outcome of a job, as its caller gets it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use trackyard_protocol::reason::Reason;

use super::capture::Captured;
use super::error::SandboxError;

/// How a job ended, and everything that it left.
#[derive(Debug, Clone)]
pub struct JobOutcome {
    /// The verdict.
    pub reason: Reason,
    /// One line for the client. It names the limit and the use, and no path of this machine.
    pub message: String,
    /// The exit code of the container's first process. `None` if a signal ended it.
    pub exit_status: Option<i32>,
    /// The first part of standard output.
    pub stdout: Captured,
    /// The first part of standard error.
    pub stderr: Captured,
    /// What the job used.
    pub usage: Usage,
    /// The result and the tool's other outputs by name, as far as they could be read. Each is checked to be UTF-8, and
    /// JSON if its name says so.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Remarks in addition to the verdict, such as an output that was refused.
    pub hints: Vec<String>,
}

impl JobOutcome {
    /// Returns the outcome of a job whose container could not be made. The details are for the log.
    #[must_use]
    pub fn failed(error: &SandboxError, usage: Usage) -> Self {
        Self {
            reason: error.reason(),
            message: error.client_message(),
            exit_status: None,
            stdout: Captured::default(),
            stderr: Captured::default(),
            usage,
            files: BTreeMap::new(),
            hints: Vec::new(),
        }
    }
}

/// What a job used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Time to make the container's file systems and limits.
    pub setup_ms: u64,
    /// Time from calling `runc` until the container ran.
    pub launch_ms: u64,
    /// Time from then until the container ended.
    pub wall_ms: u64,
    /// Processor time outside the kernel.
    pub cpu_user_ms: u64,
    /// Processor time in the kernel.
    pub cpu_sys_ms: u64,
    /// The most memory used at one time, if the kernel reports it.
    pub memory_peak_bytes: Option<u64>,
    /// The most processes and threads at one time, if the kernel reports it.
    pub pids_peak: Option<u64>,
    /// Bytes of standard output.
    pub stdout_bytes: u64,
    /// Bytes of standard error.
    pub stderr_bytes: u64,
}

/// What is wrong with a file that a tool wrote.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OutputError {
    #[error("it is missing")]
    Missing,
    #[error("it is not a regular file")]
    NotRegular,
    #[error("it is too large")]
    TooLarge,
    #[error("it is not UTF-8")]
    BadEncoding,
    #[error("it is not JSON: {0}")]
    Malformed(String),
    #[error("it is nested more than {0} levels deep")]
    TooDeep(u16),
}
