//! What a job may use.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};
use trackyard_protocol::limits::LimitOverrides;

use crate::scalar::{Duration, Processors, Size};

/// What a job may use, as far as it differs from the router's configuration.
#[derive(Debug, Clone, Default, PartialEq, KubeSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(WALLS).message("limits.wall is at most limits.wallMax"))]
pub struct Limits {
    /// Wall-clock time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wall: Option<Duration>,
    /// The longest `wall` that a request may ask for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wall_max: Option<Duration>,
    /// Processors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<Processors>,
    /// Memory with everything that is charged to it; there is no swap.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Size>,
    /// Processes and threads.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub pids: Option<u32>,
    /// Standard output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stdout: Option<Size>,
    /// Standard error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stderr: Option<Size>,
    /// One file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_size: Option<Size>,
    /// The directory that holds the submission.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_folder: Option<Size>,
    /// Files and directories in the job directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub job_inodes: Option<u32>,
    /// `/tmp`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tmp: Option<Size>,
    /// The result file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Size>,
    /// Nesting of the result, where it is JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub result_depth: Option<u16>,
    /// Files of the submission.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub input_files: Option<u32>,
    /// Bytes of the submission, all files together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_bytes: Option<Size>,
}

/// Only of two that are durations; another rule names those that are none.
const WALLS: &str = "!has(self.wall) || !has(self.wallMax) || !self.wall.matches('^[0-9]+[hms]') || \
    !self.wallMax.matches('^[0-9]+[hms]') || duration(self.wall) <= duration(self.wallMax)";

impl From<&Limits> for LimitOverrides {
    fn from(limits: &Limits) -> Self {
        let span = |field: Option<Duration>| field.map(|Duration(span)| span);
        let bytes = |field: Option<Size>| field.map(|Size(bytes)| bytes);
        Self {
            wall: span(limits.wall),
            wall_max: span(limits.wall_max),
            cpus: limits.cpus.map(|Processors(cpus)| cpus),
            memory: bytes(limits.memory),
            pids: limits.pids,
            stdout: bytes(limits.stdout),
            stderr: bytes(limits.stderr),
            file_size: bytes(limits.file_size),
            job_folder: bytes(limits.job_folder),
            job_inodes: limits.job_inodes,
            tmp: bytes(limits.tmp),
            result: bytes(limits.result),
            result_depth: limits.result_depth,
            input_files: limits.input_files,
            input_bytes: bytes(limits.input_bytes),
        }
    }
}
