//! The events that the dispatcher handles.

use std::collections::BTreeMap;
use std::time::Duration;

use trackyard_protocol::build::BuildLimits;
use trackyard_protocol::limits::Limits;
use trackyard_protocol::name::JobId;
use trackyard_protocol::request::{BuildRequest, JobRequest, Tooling};
use trackyard_protocol::token::JobKey;
use trackyard_protocol::version::PinnedVersion;
use trackyard_protocol::worker::FromWorker;

use super::Settings;

/// Time since the start of the router's process. The dispatcher has no clock.
pub type Time = Duration;

/// A request that waits for an answer. The caller assigns a new one to each request and gets it back with exactly one
/// answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Waiter(pub u64);

/// A connection of a worker. Its number is never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Peer(pub u64);

/// An event.
#[derive(Debug, Clone)]
pub enum Event {
    /// A client sent a job. It has passed the checks for 502, 506, 400 and 505.
    Job {
        /// The request.
        waiter: Waiter,
        /// The job.
        job: Box<NewJob>,
    },
    /// A worker sent a message.
    Worker {
        /// The worker's connection.
        peer: Peer,
        /// The message.
        message: FromWorker,
    },
    /// A connection closed, or accepts nothing more.
    Disconnected {
        /// The connection.
        peer: Peer,
    },
    /// The deployed versions changed; the event has all of them.
    Deployed(DeployedVersions),
    /// The configuration changed.
    Settings(Box<Settings>),
    /// The process stood still, so the silence of workers in that time proves nothing. The caller first delivers the
    /// messages that arrived meanwhile.
    Stalled {
        /// How long the process stood still.
        by: Duration,
    },
    /// Every worker should finish its jobs in flight and bootstrap again.
    RestartWorkers,
    /// The router shuts down: waiting jobs are answered 503, running jobs finish.
    Drain,
    /// Time passed. Due at [`Dispatch::next_wake`](super::Dispatch::next_wake) at the latest.
    Tick,
}

/// A validated job.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// What to do.
    pub spec: JobSpec,
    /// The key, which is equal for repeated requests.
    pub key: JobKey,
    /// Bytes of the client's message, counted against the queue's bound.
    pub bytes: usize,
}

/// What a worker should do.
#[derive(Debug, Clone)]
pub enum JobSpec {
    /// Run a track's container.
    Run {
        /// The client's request.
        request: JobRequest,
        /// The deployed version that it names.
        version: PinnedVersion,
        /// The limits to apply, `execution_timeout` already in `wall`.
        limits: Limits,
    },
    /// Build a container version.
    Build {
        /// The client's request.
        request: BuildRequest,
        /// The channel `builders` and the track, which select the builders.
        tooling: Tooling,
        /// The repository's URL.
        source: String,
        /// The limits to apply, `execution_timeout` already in `wall`.
        limits: BuildLimits,
    },
}

/// The limit of a job's duration.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TimeBudget {
    /// The limit of wall-clock time.
    pub(crate) wall: Duration,
    pub(crate) is_build: bool,
}

impl NewJob {
    /// Returns the channel and track, which select the workers.
    #[must_use]
    pub const fn tooling(&self) -> &Tooling {
        match &self.spec {
            JobSpec::Run { request, .. } => &request.tooling,
            JobSpec::Build { tooling, .. } => tooling,
        }
    }

    /// Returns the version that a worker must have ready; `None` for a build.
    #[must_use]
    pub const fn version(&self) -> Option<&PinnedVersion> {
        match &self.spec {
            JobSpec::Run { version, .. } => Some(version),
            JobSpec::Build { .. } => None,
        }
    }

    /// Returns the client's id.
    #[must_use]
    pub const fn id(&self) -> Option<&JobId> {
        match &self.spec {
            JobSpec::Run { request, .. } => Some(&request.id),
            JobSpec::Build { request, .. } => request.id.as_ref(),
        }
    }

    /// Returns how long the client waits.
    #[must_use]
    pub const fn deadline(&self) -> Option<Duration> {
        match &self.spec {
            JobSpec::Run { request, .. } => request.deadline,
            JobSpec::Build { request, .. } => request.deadline,
        }
    }

    /// Returns true if a stored answer must not be replayed. That holds for each build, because a branch may move.
    #[must_use]
    pub const fn wants_fresh(&self) -> bool {
        match &self.spec {
            JobSpec::Run { request, .. } => request.fresh,
            JobSpec::Build { .. } => true,
        }
    }

    /// Returns the limit of the job's duration.
    #[must_use]
    pub(crate) const fn budget(&self) -> TimeBudget {
        match &self.spec {
            JobSpec::Run { limits, .. } => TimeBudget { wall: limits.wall.0, is_build: false },
            JobSpec::Build { limits, .. } => TimeBudget { wall: limits.wall.0, is_build: true },
        }
    }
}

/// The deployed versions of each channel and track.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeployedVersions(pub BTreeMap<Tooling, Vec<PinnedVersion>>);

impl DeployedVersions {
    /// Iterates over all versions with their channels and tracks.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Tooling, &PinnedVersion)> {
        self.0.iter().flat_map(|(tooling, versions)| versions.iter().map(move |version| (tooling, version)))
    }
}
