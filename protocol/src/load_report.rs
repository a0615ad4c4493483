//! The router's load report for the operator: the body of `GET /pools?since=REVISION` on the admin port. The router answers
//! when something differs from that revision, or after [`MAX_POLL`].

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::channel::{Channel, Topics};
use crate::name::{PoolName, TrackSlug, WorkerName};
use crate::version::PinnedVersion;

/// Maximum time until the router answers, changed or not.
pub const MAX_POLL: Duration = Duration::from_secs(4);

/// The load of workers, queues and versions at one moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LoadReport {
    /// Identifies the content of this report: the `since` of the next request.
    #[serde(default)]
    pub revision: String,
    /// Whether the router has just started and not all workers have reported: the numbers may be too low.
    #[serde(default)]
    pub recovering: bool,
    /// The connected workers that belong to a pool.
    #[serde(default)]
    pub workers: Vec<WorkerLoad>,
    /// The waiting jobs of each track.
    #[serde(default)]
    pub queues: Vec<QueuedJobs>,
    /// The deployed versions.
    #[serde(default)]
    pub versions: Vec<VersionState>,
}

/// The load of a worker that belongs to a pool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkerLoad {
    /// The worker's name: in a cluster, that of its pod.
    pub name: WorkerName,
    /// The worker's pool.
    pub pool: PoolName,
    /// The worker's channel.
    pub channel: Channel,
    /// The tracks that the worker is scoped to.
    pub topics: Topics,
    /// Number of jobs that the worker can run at a time.
    pub slots: u32,
    /// Number of jobs in flight.
    pub busy: u32,
    /// Whether the worker takes no more jobs.
    pub draining: bool,
    /// Mean duration of recent jobs in milliseconds; 0 before the first job has ended.
    pub mean_run_ms: u64,
}

/// The waiting jobs of a track.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuedJobs {
    /// The channel.
    pub channel: Channel,
    /// The track.
    pub track: TrackSlug,
    /// Number of jobs.
    pub jobs: u32,
}

/// A deployed version, and the workers that have it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VersionState {
    /// The channel.
    pub channel: Channel,
    /// The track.
    pub track: TrackSlug,
    /// The version.
    pub version: PinnedVersion,
    /// Number of connected workers that can run the version's jobs.
    pub workers: u32,
    /// Number of those workers that have the version ready.
    pub ready: u32,
    /// Why the other workers do not have the version, by reason.
    #[serde(default)]
    pub failures: Vec<VersionFailure>,
}

/// Why some workers do not have a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionFailure {
    /// The name of the reason.
    pub reason: String,
    /// The message of the first of these workers.
    pub message: String,
    /// Number of workers.
    pub workers: u32,
}
