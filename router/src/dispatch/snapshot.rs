//! A view of what the dispatcher holds, for people and metrics.

use std::time::Duration;

use serde::Serialize;
use trackyard_protocol::channel::{Channel, Topics};
use trackyard_protocol::name::{PoolName, TrackSlug, WorkerName};
use trackyard_protocol::token::{Epoch, Incarnation, Token};
use trackyard_protocol::version::PinnedVersion;
use trackyard_protocol::worker::TrackVersion;

use crate::deployed::ToolingRef;
use crate::dispatch::ids::{LaneId, WorkerId};
use crate::dispatch::workers::AttemptState;
use crate::dispatch::workers::{VersionFailure, Worker, WorkerInfo};
use trackyard_daemon::clock::millis;

/// What the dispatcher holds at one moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Snapshot {
    /// The epoch of this start of the router.
    pub epoch: Epoch,
    /// True while workers report what they hold.
    pub recovering: bool,
    /// True once the router shuts down.
    pub draining: bool,
    /// The connected workers, by name.
    pub workers: Vec<WorkerView>,
    /// The queues that are not empty, by channel, track and version.
    pub queues: Vec<QueueView>,
    /// Sums over all channels.
    pub totals: Totals,
}

/// A connected worker.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WorkerView {
    /// Its name.
    pub name: WorkerName,
    /// Its incarnation.
    pub incarnation: Incarnation,
    /// Its pool, in a cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool: Option<PoolName>,
    /// Its channel.
    pub channel: Channel,
    /// The topics that it is scoped to.
    pub topics: Topics,
    /// The number of jobs that it runs at a time.
    pub slots: u32,
    /// The number of filled slots.
    pub busy: u32,
    /// True if it accepts no more jobs.
    pub draining: bool,
    /// The moving average of its jobs' durations, in milliseconds; 0 if none has ended yet.
    pub mean_run_ms: u64,
    /// The epoch of the router that configured it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bootstrap: Option<Epoch>,
    /// The version of its binary.
    pub release: String,
    /// Milliseconds since its last message.
    pub silent_ms: u64,
    /// Its jobs in flight, each in a slot.
    pub jobs: Vec<JobView>,
    /// The versions that are ready.
    pub ready: Vec<TrackVersion>,
    /// The versions that it failed to make ready.
    pub failed: Vec<FailedView>,
}

/// An attempt on a worker.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct JobView {
    /// The attempt's token.
    pub token: Token,
    /// The client's id; absent if no client has asked for the job since the router's start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// True once the worker has accepted the job.
    pub accepted: bool,
    /// True if no request waits for it any more.
    pub cancelled: bool,
    /// Milliseconds since it was sent.
    pub running_ms: u64,
}

/// A version that a worker failed to make ready.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FailedView {
    /// The version.
    #[serde(flatten)]
    pub version: TrackVersion,
    /// The code name of the reason.
    pub reason: String,
    /// What happened.
    pub message: String,
    /// True if the worker will try again.
    pub retrying: bool,
}

/// A queue.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct QueueView {
    /// The channel.
    pub channel: Channel,
    /// The track.
    pub track: TrackSlug,
    /// The version; absent for builds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<PinnedVersion>,
    /// The number of waiting jobs.
    pub jobs: usize,
    /// Milliseconds since the oldest of them was received.
    pub oldest_ms: u64,
}

/// Sums over all channels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Jobs in flight, waiting or running.
    pub jobs: usize,
    /// Jobs that wait for a worker.
    pub waiting: usize,
    /// Bytes of the waiting jobs' requests.
    pub waiting_bytes: usize,
    /// Open attempts, including those that no request waits for and those of lost workers.
    pub attempts: usize,
    /// Requests that wait for an answer.
    pub waiters: usize,
    /// Lost workers that may come back with a job.
    pub away: usize,
    /// Stored answers.
    pub stored: usize,
    /// Bytes of the stored answers.
    pub stored_bytes: usize,
    /// Poisoned jobs.
    pub poisoned: usize,
    /// Lanes: known combinations of channel, track and version.
    pub lanes: usize,
}

impl Snapshot {
    /// Iterates over the workers that accept jobs of a track.
    pub fn online<'a>(&'a self, tooling: ToolingRef<'a>) -> impl Iterator<Item = &'a WorkerView> {
        self.workers.iter().filter(move |worker| {
            worker.channel == tooling.channel && worker.topics.covers(tooling.track) && !worker.draining
        })
    }
}

impl WorkerView {
    /// Returns true if the worker has a version ready.
    #[must_use]
    pub fn has(&self, tooling: ToolingRef<'_>, pinned: &PinnedVersion) -> bool {
        self.ready.iter().any(|ready| ready.track == *tooling.track && ready.version == *pinned)
    }
}

impl super::Dispatch {
    pub(crate) fn view(&self) -> Snapshot {
        let mut workers: Vec<WorkerView> =
            self.workers.connected().map(|(id, worker, _)| self.worker_view(id, worker)).collect();
        workers.sort_by(|a, b| a.name.cmp(&b.name));
        Snapshot {
            epoch: self.epoch,
            recovering: self.recovering,
            draining: self.draining,
            workers,
            queues: self.queues(),
            totals: self.totals(),
        }
    }

    fn worker_view(&self, id: WorkerId, worker: &Worker) -> WorkerView {
        let WorkerInfo { name, incarnation, pool, channel, topics, slots, bootstrap, release, .. } =
            worker.info.clone();
        let failed = worker.failed.iter();
        WorkerView {
            name,
            incarnation,
            pool,
            channel,
            topics,
            slots,
            busy: worker.busy,
            draining: worker.draining,
            mean_run_ms: millis(worker.mean_run),
            bootstrap,
            release,
            silent_ms: self.millis_since(worker.last_heard),
            jobs: worker.in_flight.iter().filter_map(|token| self.job_view(*token)).collect(),
            ready: self.ready_on(id),
            failed: failed.filter_map(|(lane, failure)| self.failed_view(*lane, failure)).collect(),
        }
    }

    fn job_view(&self, token: Token) -> Option<JobView> {
        let attempt = self.attempts.get(token)?;
        let payload = attempt.job.and_then(|index| self.jobs.get(index)).and_then(|job| job.payload.as_ref());
        Some(JobView {
            token,
            id: payload.and_then(|payload| payload.id()).map(ToString::to_string),
            accepted: attempt.state != AttemptState::Sent,
            cancelled: attempt.job.is_none(),
            running_ms: self.millis_since(attempt.sent),
        })
    }

    fn failed_view(&self, lane: LaneId, failure: &VersionFailure) -> Option<FailedView> {
        Some(FailedView {
            version: self.track_version(lane)?,
            reason: failure.reason.clone(),
            message: failure.message.clone(),
            retrying: failure.retrying,
        })
    }

    fn queues(&self) -> Vec<QueueView> {
        let lanes = self.lanes.waiting_tracks().flat_map(|(_, track)| track.waiting_lanes.iter());
        let mut queues: Vec<QueueView> = lanes.filter_map(|lane| self.queue_view(*lane)).collect();
        queues.sort_by(|a, b| (a.channel, &a.track, &a.version).cmp(&(b.channel, &b.track, &b.version)));
        queues
    }

    fn queue_view(&self, id: LaneId) -> Option<QueueView> {
        let tooling = self.lanes.tooling(id)?;
        let lane = self.lanes.lane(id)?;
        let oldest = lane.waiting.first().and_then(|index| self.jobs.get(*index))?;
        Some(QueueView {
            channel: tooling.channel,
            track: tooling.track.clone(),
            version: lane.version.clone(),
            jobs: lane.waiting.len(),
            oldest_ms: self.millis_since(oldest.received),
        })
    }

    fn totals(&self) -> Totals {
        Totals {
            jobs: self.jobs.len(),
            waiting: self.lanes.waiting(),
            waiting_bytes: self.lanes.bytes(),
            attempts: self.attempts.len(),
            waiters: self.jobs.waiters(),
            away: self.workers.iter().filter(|(_, worker)| worker.peer.is_none()).count(),
            stored: self.answers.len(),
            stored_bytes: self.answers.bytes(),
            poisoned: self.poison.len(),
            lanes: self.lanes.len(),
        }
    }

    fn millis_since(&self, earlier: Duration) -> u64 {
        millis(self.now.saturating_sub(earlier))
    }
}
