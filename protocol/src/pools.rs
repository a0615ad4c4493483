//! What the router tells the operator of pools, queues and versions: the body of `GET /pools?since=REVISION` on the
//! router's admin port. It answers when something differs from that revision, or after [`LONGEST_POLL`].

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::channel::{Channel, Topics};
use crate::name::{PoolName, TrackSlug, WorkerName};
use crate::version::PinnedVersion;

/// The longest that an answer takes: who hears nothing for much longer knows nothing.
pub const LONGEST_POLL: Duration = Duration::from_secs(4);

/// All of it, at one moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Names this content; for the next `since`.
    #[serde(default)]
    pub revision: String,
    /// True while the router has just started and workers still report: figures are too low then.
    #[serde(default)]
    pub recovering: bool,
    /// The connected workers that belong to a pool.
    #[serde(default)]
    pub workers: Vec<WorkerLoad>,
    /// Jobs that wait.
    #[serde(default)]
    pub queues: Vec<Waiting>,
    /// The deployed versions.
    #[serde(default)]
    pub versions: Vec<VersionState>,
}

/// A worker of a pool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkerLoad {
    /// Its name: in a cluster its pod's.
    pub name: WorkerName,
    /// Its pool.
    pub pool: PoolName,
    /// Its channel.
    pub channel: Channel,
    /// What it is scoped to.
    pub topics: Topics,
    /// How many jobs it runs at a time.
    pub slots: u32,
    /// Jobs in its hand.
    pub busy: u32,
    /// True if it takes no more jobs.
    pub draining: bool,
    /// How long its jobs took lately, in milliseconds; 0 if none has ended yet.
    pub mean_run_ms: u64,
}

/// Jobs of a track that wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// The channel.
    pub channel: Channel,
    /// The track.
    pub track: TrackSlug,
    /// How many.
    pub jobs: u32,
}

/// A deployed version, and who has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VersionState {
    /// The channel.
    pub channel: Channel,
    /// The track.
    pub track: TrackSlug,
    /// The version.
    pub version: PinnedVersion,
    /// Online workers that would run its jobs.
    pub workers: u32,
    /// Those that have it ready.
    pub ready: u32,
    /// Why others have it not, by reason.
    #[serde(default)]
    pub failures: Vec<VersionFailure>,
}

/// Why workers have a version not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionFailure {
    /// The reason's word.
    pub reason: String,
    /// What the first of them said.
    pub message: String,
    /// How many.
    pub workers: u32,
}
