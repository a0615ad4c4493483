//! What a job's caller gets.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use trackyard_protocol::reason::Reason;

use super::capture::Captured;
use super::error::Error;

/// How a job ended, and all that it left.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The verdict.
    pub reason: Reason,
    /// One line for the client; it names the limit and the use, and no path of this machine.
    pub message: String,
    /// The exit code of the container's first process; none where a signal ended it.
    pub exit_status: Option<i32>,
    /// The first part of standard output.
    pub stdout: Captured,
    /// The first part of standard error.
    pub stderr: Captured,
    /// What the job used.
    pub usage: Usage,
    /// The result and the tool's other outputs by name, present whenever they could be read; each is checked UTF-8,
    /// and JSON where its name says so.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Remarks beside the verdict, such as an output that was refused.
    pub hints: Vec<String>,
}

impl Outcome {
    /// The outcome of a job whose container could not be made. The details are for the log.
    #[must_use]
    pub fn failed(error: &Error, usage: Usage) -> Self {
        Self {
            reason: error.reason(),
            message: error.public(),
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
    /// Making the container's file systems and limits.
    pub setup_ms: u64,
    /// From calling `runc` until the container ran.
    pub launch_ms: u64,
    /// From then until it ended.
    pub wall_ms: u64,
    /// Processor time outside the kernel.
    pub cpu_user_ms: u64,
    /// Processor time in the kernel.
    pub cpu_sys_ms: u64,
    /// The most memory at one time, where the kernel tells.
    pub memory_peak_bytes: Option<u64>,
    /// The most processes and threads at one time, where the kernel tells.
    pub pids_peak: Option<u64>,
    /// Bytes of standard output.
    pub stdout_bytes: u64,
    /// Bytes of standard error.
    pub stderr_bytes: u64,
}
