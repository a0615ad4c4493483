//! What happens to the dispatcher.

use std::collections::BTreeMap;
use std::time::Duration;

use trackyard_protocol::build::BuildLimits;
use trackyard_protocol::limits::Limits;
use trackyard_protocol::name::JobId;
use trackyard_protocol::request::{BuildRequest, JobRequest, Place};
use trackyard_protocol::token::JobKey;
use trackyard_protocol::version::PinnedVersion;
use trackyard_protocol::worker::FromWorker;

use super::Settings;

/// Time since the router's process began; the dispatcher has no clock.
pub type Time = Duration;

/// A client's way back. The edge gives each request a new one and gets it back with exactly one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Waiter(pub u64);

/// A connection; its number is never another's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Peer(pub u64);

/// Something happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// A client sent a job; the checks of 502, 506, 400 and 505 are done.
    Job {
        /// The client's way back.
        waiter: Waiter,
        /// The job.
        job: Box<NewJob>,
    },
    /// A worker said something.
    Worker {
        /// The connection that it came by.
        peer: Peer,
        /// What it said.
        message: FromWorker,
    },
    /// A connection is dead, or takes nothing more.
    Gone {
        /// Which.
        peer: Peer,
    },
    /// The deployed versions, all of them.
    Deployed(Deployment),
    /// The configuration changed.
    Settings(Box<Settings>),
    /// The process did not run for so long: the silence of workers in that time says nothing. The edge empties its
    /// sockets first.
    Stalled {
        /// How long.
        by: Duration,
    },
    /// Every worker shall finish its jobs in hand and bootstrap again.
    RestartWorkers,
    /// The router shuts down: waiting jobs are answered 503, running ones finish.
    Drain,
    /// Time passed; due at [`Dispatch::next_wake`](super::Dispatch::next_wake) at the latest.
    Tick,
}

/// A checked job.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// What is to be done.
    pub order: Order,
    /// What it has in common with a repeated request.
    pub key: JobKey,
    /// Bytes of the client's message, for the queue's bound.
    pub bytes: usize,
}

/// What a worker shall do.
#[derive(Debug, Clone)]
pub enum Order {
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
        /// Where builders wait for it: the channel `builders` and the track.
        place: Place,
        /// The repository's URL.
        source: String,
        /// The limits to apply, `execution_timeout` already in `wall`.
        limits: BuildLimits,
    },
}

/// How much time a job may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    /// The limit of its wall-clock time.
    pub(crate) wall: Duration,
    pub(crate) is_build: bool,
}

impl NewJob {
    /// Whose workers can take it.
    #[must_use]
    pub const fn place(&self) -> &Place {
        match &self.order {
            Order::Run { request, .. } => &request.place,
            Order::Build { place, .. } => place,
        }
    }

    /// The version that a worker must have ready; none for a build.
    #[must_use]
    pub const fn version(&self) -> Option<&PinnedVersion> {
        match &self.order {
            Order::Run { version, .. } => Some(version),
            Order::Build { .. } => None,
        }
    }

    /// The client's id.
    #[must_use]
    pub const fn id(&self) -> Option<&JobId> {
        match &self.order {
            Order::Run { request, .. } => Some(&request.id),
            Order::Build { request, .. } => request.id.as_ref(),
        }
    }

    /// How long the client waits.
    #[must_use]
    pub const fn deadline(&self) -> Option<Duration> {
        match &self.order {
            Order::Run { request, .. } => request.deadline,
            Order::Build { request, .. } => request.deadline,
        }
    }

    /// True if a stored answer is not good enough. A build's never is: a branch moves on.
    #[must_use]
    pub const fn wants_fresh(&self) -> bool {
        match &self.order {
            Order::Run { request, .. } => request.fresh,
            Order::Build { .. } => true,
        }
    }

    /// How much time it may take.
    #[must_use]
    pub(crate) const fn effort(&self) -> Effort {
        match &self.order {
            Order::Run { limits, .. } => Effort { wall: limits.wall.0, is_build: false },
            Order::Build { limits, .. } => Effort { wall: limits.wall.0, is_build: true },
        }
    }
}

/// The deployed versions of each channel and track.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deployment(pub BTreeMap<Place, Vec<PinnedVersion>>);

pub(crate) fn pairs(
    deployed: &BTreeMap<Place, Vec<PinnedVersion>>,
) -> impl Iterator<Item = (&Place, &PinnedVersion)> {
    deployed.iter().flat_map(|(place, versions)| versions.iter().map(move |version| (place, version)))
}

pub(crate) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
