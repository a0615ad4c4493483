//! The dispatcher's settings. A change applies to later events.

use std::collections::BTreeSet;
use std::time::Duration;

use trackyard_protocol::channel::{Channel, Topics};
use trackyard_protocol::request::Tooling;
use trackyard_protocol::source::{ImageSource, InputPolicy};

/// The dispatcher's settings.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long after its start the router dispatches nothing, so that workers can report what they hold.
    pub recovery: Duration,
    /// Interval between heartbeats.
    pub heartbeat: Duration,
    /// Silence after which a worker is lost.
    pub silence: Duration,
    /// Maximum time that a job waits for a worker.
    pub queue_max_wait: Duration,
    /// Maximum time in which a lost builder may come back with its build.
    pub build_return: Duration,
    /// Maximum number of waiting jobs.
    pub queue_max_jobs: usize,
    /// Maximum bytes of the waiting jobs' requests.
    pub queue_max_bytes: usize,
    /// Maximum time of an attempt before its container starts.
    pub setup: Duration,
    /// Time that an attempt may take beyond set-up and wall time, so that the worker's own verdict comes first.
    pub grace: Duration,
    /// Minimum time before a job's `deadline_ms` at which it is still started.
    pub min_start: Duration,
    /// Maximum number of attempts of a job, lost ones included.
    pub max_attempts: u32,
    /// How long an answer is kept for a repeated request.
    pub store_ttl: Duration,
    /// Maximum bytes of stored answers.
    pub store_bytes: usize,
    /// How long a poisoned job is refused.
    pub poison_ttl: Duration,
    /// Tracks whose jobs may wait while no worker is connected.
    pub expected: BTreeSet<Tooling>,
    /// Pools of a cluster that may start workers while none is connected.
    pub pools: Vec<PoolCover>,
    /// Where images are; sent to workers.
    pub images: ImageSource,
    /// Where submissions may come from; sent to workers.
    pub inputs: InputPolicy,
    /// Whether workers that were configured by an earlier start of the router must bootstrap again.
    pub force_worker_restart: bool,
}

/// What a pool of a cluster serves once it has pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolCover {
    /// Its channel.
    pub channel: Channel,
    /// What its workers are scoped to.
    pub topics: Topics,
    /// Maximum time from no pod to one that is ready.
    pub cold_start: Duration,
}

impl Settings {
    /// Returns the longest cold start of the pools that serve a track; `None` if no pool does.
    #[must_use]
    pub fn cold_start(&self, tooling: &Tooling) -> Option<Duration> {
        let covering = self.pools.iter().filter(|pool| tooling.is_covered_by(pool.channel, &pool.topics));
        covering.map(|pool| pool.cold_start).max()
    }

    /// Returns the default settings.
    #[must_use]
    pub fn new(images: ImageSource, inputs: InputPolicy) -> Self {
        Self {
            recovery: Duration::from_secs(2),
            heartbeat: Duration::from_secs(1),
            silence: Duration::from_secs(3),
            queue_max_wait: Duration::from_secs(10),
            build_return: Duration::from_secs(30),
            queue_max_jobs: 10_000,
            queue_max_bytes: 256 << 20,
            setup: Duration::from_secs(15),
            grace: Duration::from_secs(5),
            min_start: Duration::from_millis(50),
            max_attempts: 2,
            store_ttl: Duration::from_secs(600),
            store_bytes: 256 << 20,
            poison_ttl: Duration::from_secs(600),
            expected: BTreeSet::new(),
            pools: Vec::new(),
            images,
            inputs,
            force_worker_restart: false,
        }
    }
}
