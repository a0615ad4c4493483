//! What the dispatcher holds, for people and metrics.

use serde::Serialize;
use trackyard_protocol::channel::{Channel, Topics};
use trackyard_protocol::name::{PoolName, TrackSlug, WorkerName};
use trackyard_protocol::token::{Epoch, Incarnation, Token};
use trackyard_protocol::version::PinnedVersion;
use trackyard_protocol::worker::TrackVersion;

/// Everything, at one moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Snapshot {
    /// This start of the router.
    pub epoch: Epoch,
    /// True while workers still report what they hold.
    pub recovering: bool,
    /// True once the router shuts down.
    pub draining: bool,
    /// The connected workers, by name.
    pub workers: Vec<WorkerView>,
    /// The queues that are not empty, by channel, track and version.
    pub queues: Vec<QueueView>,
    /// Sums.
    pub totals: Totals,
}

/// A connected worker.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WorkerView {
    /// Its name.
    pub name: WorkerName,
    /// Its start.
    pub incarnation: Incarnation,
    /// Its pool, in a cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool: Option<PoolName>,
    /// Its channel.
    pub channel: Channel,
    /// What it is scoped to.
    pub topics: Topics,
    /// How many jobs it runs at a time.
    pub slots: u32,
    /// True if it takes no more jobs.
    pub draining: bool,
    /// Its binary's version.
    pub release: String,
    /// Milliseconds since it last said anything.
    pub silent_ms: u64,
    /// The jobs in its hand, each in a slot.
    pub jobs: Vec<JobView>,
    /// The versions that it can run now.
    pub ready: Vec<TrackVersion>,
    /// The versions that it could not make ready.
    pub failed: Vec<FailedView>,
}

/// An attempt in a worker's hand.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct JobView {
    /// Which.
    pub token: Token,
    /// The client's id; absent if no client has asked for it since the router's start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// True once the worker said that it took the job.
    pub accepted: bool,
    /// True if nobody waits for it any more.
    pub cancelled: bool,
    /// Milliseconds since it was sent.
    pub running_ms: u64,
}

/// A version that a worker could not make ready.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FailedView {
    /// The version.
    #[serde(flatten)]
    pub version: TrackVersion,
    /// The reason's word.
    pub reason: String,
    /// What happened.
    pub message: String,
    /// True if the worker tries again by itself.
    pub retrying: bool,
}

/// A queue.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct QueueView {
    /// The channel.
    pub channel: Channel,
    /// The track.
    pub track: TrackSlug,
    /// The version.
    pub version: PinnedVersion,
    /// Jobs that wait.
    pub jobs: usize,
    /// Milliseconds since the first of them was received.
    pub oldest_ms: u64,
}

/// Sums over all channels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Jobs not yet answered, waiting or running.
    pub jobs: usize,
    /// Jobs that wait for a worker.
    pub waiting: usize,
    /// Bytes of their requests.
    pub waiting_bytes: usize,
    /// Attempts in workers' hands, also those for which nobody waits, and those of lost workers.
    pub attempts: usize,
    /// Requests without an answer yet.
    pub waiters: usize,
    /// Lost workers that may come back with a job.
    pub away: usize,
    /// Stored answers.
    pub stored: usize,
    /// Their bytes.
    pub stored_bytes: usize,
    /// Jobs that are refused because they lost their workers.
    pub poisoned: usize,
    /// Channel, track and version combinations that are known.
    pub lanes: usize,
}
