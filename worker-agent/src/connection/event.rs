//! The events that a connection takes and the actions that it returns.

use trackyard_protocol::token::{Epoch, JobKey, Token};
use trackyard_protocol::worker::{
    AfterDrain, Build, Desired, FromRouter, FromWorker, Job, JobResult, TrackVersion, VersionFailed, Welcome,
};

/// Something that happened to the worker.
#[derive(Debug)]
pub enum Event {
    /// A message from the router.
    RouterMessage(Box<FromRouter>),
    /// Time has passed.
    Tick,
    /// A version is ready.
    VersionReady(TrackVersion),
    /// A version could not be prepared.
    VersionFailed(VersionFailed),
    /// A version is no longer desired. It is neither ready nor failed any more.
    VersionGone(TrackVersion),
    /// A job left its slot.
    JobEnded(Box<JobEnd>),
    /// The worker must take no more jobs.
    Drain(DrainMode),
    /// The router has answered a bootstrap request.
    Bootstrapped {
        /// The start of the router that answered, if the answer has it.
        epoch: Option<Epoch>,
        /// Whether the router's address or key has changed.
        moved: bool,
    },
}

/// How a job left its slot.
#[derive(Debug)]
pub enum JobEnd {
    /// The job has a result.
    Result(JobResult),
    /// The job has no result, and may run on another worker.
    Returned {
        /// The job's token.
        token: Token,
        /// The job's key.
        key: JobKey,
        /// The reason for the router.
        why: &'static str,
    },
}

/// How a worker drains, from the least to the most urgent mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DrainMode {
    /// Bootstraps again when all jobs have ended, and goes on.
    Bootstrap,
    /// Exits when all jobs have ended, without a timeout.
    WhenIdle,
    /// Exits when all jobs have ended, or at the drain timeout.
    Graceful,
    /// Stops the running jobs, returns them to the router and exits.
    Immediate,
}

impl From<AfterDrain> for DrainMode {
    fn from(then: AfterDrain) -> Self {
        match then {
            AfterDrain::Exit => Self::WhenIdle,
            AfterDrain::Bootstrap => Self::Bootstrap,
        }
    }
}

/// Something that the agent must do.
#[derive(Debug, PartialEq)]
pub enum Action {
    /// Open a new socket and connect it.
    Open,
    /// Drop the socket, with the messages that it has not sent yet.
    Close,
    /// Send a message to the router.
    Send(FromWorker),
    /// Apply the router's configuration.
    Configure(Box<Welcome>),
    /// Prepare these versions.
    Prepare(Desired),
    /// Run a job.
    StartJob(Box<Job>),
    /// Build a container version.
    StartBuild(Box<Build>),
    /// Stop a job. Its end is reported as usual.
    StopJob {
        /// The job's token.
        token: Token,
        /// The reason for the router.
        why: &'static str,
    },
    /// Send a bootstrap request. Its answer is reported by [`Event::Bootstrapped`].
    Bootstrap,
    /// Exit.
    Exit,
}
