//! The limits of builds, and the responses of build requests.

use serde::{Deserialize, Serialize};

use crate::name::TrackSlug;
use crate::quantity::{Bytes, HumanDuration};

/// The limits of one build, all set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BuildLimits {
    /// Time from the start of the fetch to the end of the release.
    pub wall: HumanDuration,
    /// The longest `wall` that a request's `execution_timeout` may ask for.
    pub wall_max: HumanDuration,
    /// Maximum time without output.
    pub idle: HumanDuration,
    /// Memory of the build's processes, with everything that is charged to it; there is no swap.
    pub memory: Bytes,
    /// Processes and threads.
    pub pids: u32,
    /// Maximum growth of the build's files, its cache and the image, together. The fetch has a bound of its own.
    pub disk: Bytes,
    /// Maximum size of the log. Of a longer one, the first and the last half of this size are kept.
    pub log: Bytes,
}

impl Default for BuildLimits {
    fn default() -> Self {
        Self {
            wall: HumanDuration::from_secs(15 * 60),
            wall_max: HumanDuration::from_secs(60 * 60),
            idle: HumanDuration::from_secs(5 * 60),
            memory: Bytes(4 << 30),
            pids: 4096,
            disk: Bytes(10 << 30),
            log: Bytes(512 << 10),
        }
    }
}

impl BuildLimits {
    /// Returns the lower of each limit.
    #[must_use]
    pub fn at_most(&self, ceiling: &Self) -> Self {
        Self {
            wall: self.wall.min(ceiling.wall_max),
            wall_max: self.wall_max.min(ceiling.wall_max),
            idle: self.idle.min(ceiling.idle),
            memory: self.memory.min(ceiling.memory),
            pids: self.pids.min(ceiling.pids),
            disk: self.disk.min(ceiling.disk),
            log: self.log.min(ceiling.log),
        }
    }
}

/// Lines of a growing log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPage {
    /// The lines, without line ends. Lines before the first may be missing.
    pub lines: Vec<String>,
    /// The number of the line after the last, counted from 0: the `from` of the next request.
    pub next: u64,
}

/// The progress of a build: the `response` of `build_log`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildProgress {
    /// The state of the build.
    pub state: BuildState,
    /// The log from the requested line on.
    #[serde(flatten)]
    pub log: LogPage,
}

/// The state of a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BuildState {
    /// There is no such build: it has ended, or was never requested.
    None,
    /// It waits for a builder.
    Waiting,
    /// A builder runs it.
    Running,
}

/// The outcome of a successful build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BuildStatus {
    /// The image was built and released.
    Built,
    /// The version had been released before this build ended. Nothing was changed.
    Ignored,
}

/// The `response` of a build's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildResponse {
    /// The outcome.
    pub status: BuildStatus,
    /// The outcome in words.
    pub message: String,
    /// The track.
    pub track: TrackSlug,
    /// The image: registry or directory, repository and container version.
    pub image: String,
    /// The container version, which can be deployed now.
    pub image_tag: String,
    /// The requested branch, tag or sha.
    pub git_tag: String,
    /// The digest of the manifest.
    pub digest: String,
    /// The log of fetch, build, smoke check and release.
    pub logs: String,
}
