//! What a build may use, and what it answers.

use serde::{Deserialize, Serialize};

use crate::name::TrackSlug;
use crate::quantity::{Bytes, HumanDuration};

/// The limits of one build, all set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BuildLimits {
    /// From the start of the fetch to the end of the release.
    pub wall: HumanDuration,
    /// The longest `wall` that a request's `execution_timeout` may ask for.
    pub wall_max: HumanDuration,
    /// How long the build may print nothing.
    pub idle: HumanDuration,
    /// Memory of the build's processes, with everything that is charged to it; there is no swap.
    pub memory: Bytes,
    /// Processes and threads.
    pub pids: u32,
    /// What the build's files, its cache and the image may grow by, together; the fetch has a bound of its own.
    pub disk: Bytes,
    /// What is kept of the log: its first half and its end.
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
    /// The smaller of each.
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
    /// The lines, without line ends; some may be missing before the first.
    pub lines: Vec<String>,
    /// The number of the line after the last, from 0: what to ask for next.
    pub next: u64,
}

/// How far a build is: the `response` of `build_log`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildProgress {
    /// How far it is.
    pub state: BuildState,
    /// What it has printed since the line that was asked for.
    #[serde(flatten)]
    pub log: LogPage,
}

/// How far a build is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BuildState {
    /// There is none: it has ended, or was never asked for.
    None,
    /// It waits for a builder.
    Waiting,
    /// A builder has it in hand.
    Running,
}

/// What became of a build that went well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BuildStatus {
    /// It is released now.
    Built,
    /// It was released already, maybe while this build ran; nothing was changed.
    Ignored,
}

/// The `response` of a build's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildResponse {
    /// What became of it.
    pub status: BuildStatus,
    /// The same for people.
    pub message: String,
    /// The track.
    pub track: TrackSlug,
    /// The image: the registry or directory, the repository and the container version.
    pub image: String,
    /// The container version, ready to be deployed.
    pub image_tag: String,
    /// The branch, tag or sha that was asked for.
    pub git_tag: String,
    /// The manifest's digest.
    pub digest: String,
    /// What fetch, build, smoke check and release printed.
    pub logs: String,
}
