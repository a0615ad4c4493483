//! What can be set; a change applies to what happens after it.

use std::collections::BTreeSet;
use std::time::Duration;

use trackyard_protocol::channel::{Channel, Topics};
use trackyard_protocol::request::Place;
use trackyard_protocol::source::{ImageSource, InputPolicy};

/// The dispatcher's settings.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long after its start the router only listens to what workers hold.
    pub recovery: Duration,
    /// Between heartbeats.
    pub heartbeat: Duration,
    /// A worker that says nothing for so long is lost.
    pub silence: Duration,
    /// How long a job waits for a worker at most.
    pub queue_max_wait: Duration,
    /// How long a lost builder may take to come back with its build.
    pub build_return: Duration,
    /// How many jobs wait at most.
    pub queue_max_jobs: usize,
    /// How many bytes of requests wait at most.
    pub queue_max_bytes: usize,
    /// What an attempt may take before its container starts.
    pub setup: Duration,
    /// What an attempt may take over set-up and wall time, so that the worker's own verdict comes first.
    pub grace: Duration,
    /// A job whose `deadline_ms` leaves less than this is not started.
    pub min_start: Duration,
    /// Attempts of a job, lost ones included.
    pub max_attempts: u32,
    /// How long an answer is kept for a repeated request.
    pub store_ttl: Duration,
    /// How many bytes of answers are kept.
    pub store_bytes: usize,
    /// How long a job that lost its workers is refused.
    pub poison_ttl: Duration,
    /// Tracks whose jobs wait even while no worker is connected.
    pub expected: BTreeSet<Place>,
    /// Pools of a cluster that may have workers even while none is connected.
    pub pools: Vec<PoolCover>,
    /// Where images are; passed on to workers.
    pub images: ImageSource,
    /// Where submissions may come from; passed on to workers.
    pub inputs: InputPolicy,
    /// Workers that were configured by an earlier start of the router bootstrap again.
    pub force_worker_restart: bool,
}

/// What a pool of a cluster may serve, as it may have pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolCover {
    /// Its channel.
    pub channel: Channel,
    /// What its workers are scoped to.
    pub topics: Topics,
    /// How long it may take from no pod to one that is ready.
    pub cold_start: Duration,
}

impl Settings {
    /// How long jobs of a track wait for a first worker: the longest of the pools that may serve it; none if no pool
    /// does.
    #[must_use]
    pub fn cold_start(&self, place: &Place) -> Option<Duration> {
        let covers = self.pools.iter().filter(|pool| place.is_covered_by(pool.channel, &pool.topics));
        covers.map(|pool| pool.cold_start).max()
    }

    /// The defaults.
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
