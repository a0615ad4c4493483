//! What the talk with the router takes and gives.

use trackyard_protocol::token::{Epoch, JobKey, Token};
use trackyard_protocol::worker::{
    AfterDrain, Build, Desired, FromRouter, FromWorker, Job, JobResult, TrackVersion, VersionFailed, Welcome,
};

/// What happens to a worker.
#[derive(Debug)]
pub enum Event {
    /// The router said something.
    Heard(Box<FromRouter>),
    /// Time passes.
    Tick,
    /// A version can be run.
    VersionReady(TrackVersion),
    /// A version could not be prepared.
    VersionFailed(VersionFailed),
    /// A version is no longer wanted: it can no longer be run, nor does its failure matter.
    VersionGone(TrackVersion),
    /// A job left its slot.
    JobEnded(Box<Ended>),
    /// Take no more jobs.
    Drain(Leave),
    /// The configuration was asked for again.
    Bootstrapped {
        /// The start of the router that answered, if it said so.
        epoch: Option<Epoch>,
        /// True if the router's address is another now.
        moved: bool,
    },
}

/// How a job left its slot.
#[derive(Debug)]
pub enum Ended {
    /// With a result.
    Result(JobResult),
    /// Without: it may run elsewhere.
    Returned {
        /// Which.
        token: Token,
        /// The job's key.
        key: JobKey,
        /// Why.
        why: &'static str,
    },
}

/// What a draining worker does at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Leave {
    /// Asks for its configuration again and goes on.
    Bootstrap,
    /// Leaves when all jobs ended, however long they take.
    Exit,
    /// Leaves when all jobs ended, or at the drain timeout.
    ExitInTime,
    /// Leaves at once; jobs in hand go back.
    ExitNow,
}

impl From<AfterDrain> for Leave {
    fn from(then: AfterDrain) -> Self {
        match then {
            AfterDrain::Exit => Self::Exit,
            AfterDrain::Bootstrap => Self::Bootstrap,
        }
    }
}

/// What a worker does.
#[derive(Debug, PartialEq)]
pub enum Action {
    /// Make a new socket and connect it.
    Open,
    /// Drop the socket with everything that it still holds.
    Close,
    /// Say something to the router.
    Send(FromWorker),
    /// The router's configuration came.
    Configure(Box<Welcome>),
    /// Prepare these versions.
    Prepare(Desired),
    /// Run a job.
    Start(Box<Job>),
    /// Build a container version.
    Build(Box<Build>),
    /// End a job; its end is reported as usual.
    Stop {
        /// Which.
        token: Token,
        /// Why.
        why: &'static str,
    },
    /// Ask for the configuration again; report it by [`Event::Bootstrapped`].
    Bootstrap,
    /// Leave.
    Exit,
}
