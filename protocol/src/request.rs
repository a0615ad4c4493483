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

/// The action of a request.
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
    /// Read the log of a running build.
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
    /// Report which versions are ready on every worker.
    DeploymentCheck,
    /// Answer the first request of a worker.
    ConfigureWorker,
    /// Make the workers bootstrap again.
    RestartWorkers,
    /// Restart the router.
    RestartRouter,
}

impl Action {
    /// Returns the channel whose container the action runs, if it runs one.
    #[must_use]
    pub const fn job_channel(self) -> Option<Channel> {
        match self {
            Self::TestSolution => Some(Channel::TestRunners),
            Self::AnalyzeIteration => Some(Channel::StaticAnalyzers),
            Self::Represent => Some(Channel::Representers),
            _ => None,
        }
    }

    /// Returns whether only administrators may request the action, because it changes the platform.
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
    /// Read the log of a running build, from a line on.
    BuildLog {
        /// The token of the build.
        build: BuildRequest,
        /// The first line to return.
        from: u64,
    },
    /// Deploy a version.
    Deploy(VersionRequest),
    /// Unload a version.
    Unload(VersionRequest),
    /// Replace a track's versions.
    Update {
        /// The tooling.
        tooling: Tooling,
        /// All versions of the tooling.
        versions: BTreeSet<ContainerVersion>,
    },
    /// List the deployed versions.
    CurrentConfig,
    /// List a repository's images.
    ListAvailable(Tooling),
    /// List the workers.
    DescribeWorkers,
    /// Count the workers.
    WorkerStatus,
    /// Report which versions are ready on every worker.
    DeploymentCheck(Tooling),
    /// The first request of a worker.
    ConfigureWorker {
        /// The worker's channel.
        channel: Channel,
        /// The worker's topics.
        topics: Topics,
    },
    /// Make the workers bootstrap again.
    RestartWorkers,
    /// Restart the router.
    RestartRouter,
}

/// The tooling of a track for one channel, such as Ruby's test runner.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tooling {
    /// The channel; `builders` only for the queue of builds.
    pub channel: Channel,
    /// The track.
    pub track: TrackSlug,
}

impl Tooling {
    /// Returns whether a worker of this channel and these topics can run the jobs.
    #[must_use]
    pub fn is_covered_by(&self, channel: Channel, topics: &Topics) -> bool {
        self.channel == channel && topics.covers(&self.track)
    }
}

/// A request about one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionRequest {
    /// The tooling.
    pub tooling: Tooling,
    /// The version.
    pub version: ContainerVersion,
}

/// A job with checked fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRequest {
    /// The id that the client gave.
    pub id: JobId,
    /// The tooling.
    pub tooling: Tooling,
    /// The exercise.
    pub exercise: ExerciseSlug,
    /// Where the submission is.
    pub input: InputUri,
    /// The container version to run.
    pub version: ContainerVersion,
    /// The requested wall-clock time: whole seconds, at least one. The router checks the maximum of the track.
    pub execution_timeout: Option<Duration>,
    /// How long the client waits after the router has received the request; at least a millisecond.
    pub deadline: Option<Duration>,
    /// Whether to run the job even if its answer is stored.
    pub fresh: bool,
}

/// A build with checked fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildRequest {
    /// The client's id of the build.
    pub id: Option<JobId>,
    /// The tooling.
    pub tooling: Tooling,
    /// A 40-hex sha, a branch or a tag: 1 to 255 characters that a git reference may have.
    pub git_reference: String,
    /// The requested time: whole seconds, at least one. The router checks the maximum.
    pub execution_timeout: Option<Duration>,
    /// How long the client waits after the router has received the request; at least a millisecond.
    pub deadline: Option<Duration>,
}

/// Why a request was refused: the reason, a message that names the field, and the id if one was given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// The status code's reason.
    pub reason: Reason,
    /// The field, and what it must be.
    pub message: String,
}

impl Refusal {
    /// Returns a refusal.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}
