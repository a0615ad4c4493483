//! What the dispatcher holds, for people and metrics.

use std::time::Duration;

use serde::Serialize;
use trackyard_protocol::channel::{Channel, Topics};
use trackyard_protocol::name::{PoolName, TrackSlug, WorkerName};
use trackyard_protocol::token::{Epoch, Incarnation, Token};
use trackyard_protocol::version::PinnedVersion;
use trackyard_protocol::worker::TrackVersion;

use crate::deployed::TrackRef;
use crate::dispatch::event::millis;
use crate::dispatch::ids::{LaneId, WorkerId};
use crate::dispatch::workers::attempt::State;
use crate::dispatch::workers::{About, Failure, Worker};

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
    /// How many of them are filled.
    pub busy: u32,
    /// True if it takes no more jobs.
    pub draining: bool,
    /// How long its jobs took lately, in milliseconds; 0 if none has ended yet.
    pub mean_run_ms: u64,
    /// The router's start that configured it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bootstrap: Option<Epoch>,
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
    /// The version; absent for builds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<PinnedVersion>,
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

impl Snapshot {
    /// The workers that take jobs of a track.
    pub fn online<'a>(&'a self, place: TrackRef<'a>) -> impl Iterator<Item = &'a WorkerView> {
        let serves = move |worker: &&WorkerView| {
            worker.channel == place.channel && worker.topics.covers(place.track) && !worker.draining
        };
        self.workers.iter().filter(serves)
    }
}

impl WorkerView {
    /// True if it has a version ready.
    #[must_use]
    pub fn has(&self, place: TrackRef<'_>, pinned: &PinnedVersion) -> bool {
        self.ready.iter().any(|ready| ready.track == *place.track && ready.version == *pinned)
    }
}

impl super::Dispatch {
    pub(crate) fn view(&self) -> Snapshot {
        let mut workers: Vec<WorkerView> =
            self.workers.connected().map(|(id, worker, _)| self.view_of(id, worker)).collect();
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

    fn view_of(&self, id: WorkerId, worker: &Worker) -> WorkerView {
        let About { name, incarnation, pool, channel, topics, slots, bootstrap, release, .. } =
            worker.about.clone();
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
            silent_ms: self.millis_since(worker.heard),
            jobs: worker.hand.iter().filter_map(|token| self.job_view(*token)).collect(),
            ready: self.ready_on(id),
            failed: failed.filter_map(|(lane, failure)| self.failed_view(*lane, failure)).collect(),
        }
    }

    fn job_view(&self, token: Token) -> Option<JobView> {
        let attempt = self.attempts.get(token)?;
        let work = attempt.job.and_then(|no| self.jobs.get(no)).and_then(|job| job.work.as_ref());
        Some(JobView {
            token,
            id: work.and_then(|work| work.id()).map(ToString::to_string),
            accepted: attempt.state != State::Sent,
            cancelled: attempt.job.is_none(),
            running_ms: self.millis_since(attempt.sent),
        })
    }

    fn failed_view(&self, lane: LaneId, failure: &Failure) -> Option<FailedView> {
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
        let place = self.lanes.place(id)?;
        let lane = self.lanes.lane(id)?;
        let oldest = lane.waiting.first().and_then(|no| self.jobs.get(*no))?;
        Some(QueueView {
            channel: place.channel,
            track: place.track.clone(),
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
