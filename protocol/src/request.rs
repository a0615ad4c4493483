//! A client's request. Its form is read first (status 501 and 502) and its values are checked later (400), so that the router
//! can check the peer's rights in between (506).

mod fields;
mod parse;
mod raw;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::time::Duration;

use crate::channel::{Channel, Topics};
use crate::name::{ExerciseSlug, JobId, TrackSlug};
use crate::reason::Reason;
use crate::uri::InputUri;
use crate::version::ContainerVersion;

pub use fields::Shape;

/// What a client may ask for, by its `action`.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    strum::Display,
    strum::EnumIter,
    strum::EnumString,
    strum::IntoStaticStr,
)]
#[strum(serialize_all = "snake_case")]
pub enum Action {
    /// Run a submission's tests.
    TestSolution,
    /// Comment on a submission.
    AnalyzeIteration,
    /// Normalise a submission.
    Represent,
    /// Build a container version from git.
    BuildContainer,
    /// What a build in flight has printed.
    BuildLog,
    /// Let jobs name one more version.
    DeployContainerVersion,
    /// Let jobs no longer name a version.
    UnloadContainerVersion,
    /// Replace a track's versions.
    UpdateContainerVersions,
    /// List the deployed versions.
    CurrentConfig,
    /// List a repository's images.
    ListAvailableContainers,
    /// List the connected workers.
    DescribeWorkers,
    /// Count the connected workers.
    CurrentWorkerStatus,
    /// Tell which versions are ready on every worker.
    DeploymentCheck,
    /// What a worker asks first.
    ConfigureWorker,
    /// Let the workers bootstrap again.
    RestartWorkers,
    /// Let the router start again.
    RestartRouter,
}

impl Action {
    /// The channel whose container the action runs, if it runs one.
    #[must_use]
    pub const fn job_channel(self) -> Option<Channel> {
        match self {
            Self::TestSolution => Some(Channel::TestRunners),
            Self::AnalyzeIteration => Some(Channel::StaticAnalyzers),
            Self::Represent => Some(Channel::Representers),
            _ => None,
        }
    }

    /// True for what changes the platform, which only an administrator may.
    #[must_use]
    pub const fn needs_administrator(self) -> bool {
        matches!(
            self,
            Self::BuildContainer
                | Self::BuildLog
                | Self::DeployContainerVersion
                | Self::UnloadContainerVersion
                | Self::UpdateContainerVersions
                | Self::RestartWorkers
                | Self::RestartRouter
        )
    }
}

/// A checked request.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// Run a track's container.
    Job(JobRequest),
    /// Build a container version.
    Build(BuildRequest),
    /// What a build in flight has printed, from a line on.
    BuildLog {
        /// The token of the build.
        build: BuildRequest,
        /// The first line wanted.
        from: u64,
    },
    /// Deploy a version.
    Deploy(VersionRequest),
    /// Unload a version.
    Unload(VersionRequest),
    /// Replace a track's versions.
    Update {
        /// The channel and track.
        place: Place,
        /// All versions it shall have.
        versions: BTreeSet<ContainerVersion>,
    },
    /// List the deployed versions.
    CurrentConfig,
    /// List a repository's images.
    ListAvailable(Place),
    /// List the workers.
    DescribeWorkers,
    /// Count the workers.
    WorkerStatus,
    /// Tell which versions are ready everywhere.
    DeploymentCheck(Place),
    /// A worker's first question.
    ConfigureWorker {
        /// The worker's channel.
        channel: Channel,
        /// The worker's topics.
        topics: Topics,
    },
    /// Let the workers bootstrap again.
    RestartWorkers,
    /// Let the router start again.
    RestartRouter,
}

/// A channel and a track.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The channel; `builders` only where a build waits for a worker.
    pub channel: Channel,
    /// The track.
    pub track: TrackSlug,
}

impl Place {
    /// True if who serves these topics of this channel may be given its jobs.
    #[must_use]
    pub fn is_covered_by(&self, channel: Channel, topics: &Topics) -> bool {
        self.channel == channel && topics.covers(&self.track)
    }
}

/// A version of a channel's track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionRequest {
    /// The channel and track.
    pub place: Place,
    /// The version.
    pub version: ContainerVersion,
}

/// One job, all fields checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRequest {
    /// The id that the client gave.
    pub id: JobId,
    /// The channel and track.
    pub place: Place,
    /// The exercise.
    pub exercise: ExerciseSlug,
    /// Where the submission is.
    pub input: InputUri,
    /// The container version to run.
    pub version: ContainerVersion,
    /// Wall time asked for; whole seconds, at least one. The track's maximum is the router's to check.
    pub execution_timeout: Option<Duration>,
    /// How long the client waits, from the router's receipt; at least a millisecond.
    pub deadline: Option<Duration>,
    /// Run again, even if the answer is known.
    pub fresh: bool,
}

/// A build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildRequest {
    /// The client's id of the build.
    pub id: Option<JobId>,
    /// The channel and track.
    pub place: Place,
    /// A 40-hex sha, a branch or a tag; 1 to 255 bytes of a git reference's characters.
    pub git_reference: String,
    /// Time asked for; whole seconds, at least one. The maximum is the router's to check.
    pub execution_timeout: Option<Duration>,
    /// How long the client waits, from the router's receipt; at least a millisecond.
    pub deadline: Option<Duration>,
}

/// Why a request was refused: the reason, a message that names the field, and the id if one was given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// The status code's reason.
    pub reason: Reason,
    /// Which field, and what it must be.
    pub message: String,
}

impl Refusal {
    /// A refusal.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}
