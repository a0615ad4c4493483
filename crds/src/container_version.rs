//! `ContainerVersion`: a version of a track's container that jobs may name.

mod limits;
mod status;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use limits::Limits;
pub use status::{ContainerVersionStatus, Failure, Workers};

/// The kind of tooling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Tooling {
    /// Runs submissions' tests.
    TestRunners,
    /// Comments on submissions.
    StaticAnalyzers,
    /// Normalises submissions.
    Representers,
}

impl From<Tooling> for trackyard_protocol::channel::Channel {
    fn from(tooling: Tooling) -> Self {
        match tooling {
            Tooling::TestRunners => Self::TestRunners,
            Tooling::StaticAnalyzers => Self::StaticAnalyzers,
            Tooling::Representers => Self::Representers,
        }
    }
}

/// A container version that jobs may name. The deployed versions are those of all objects of this kind.
#[derive(Debug, Clone, PartialEq, CustomResource, KubeSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "trackyard.dev",
    version = "v1alpha1",
    kind = "ContainerVersion",
    namespaced,
    cel,
    doc = "A container version that jobs may name. The deployed versions are those of all objects of this kind.",
    derive = "PartialEq",
    status = "ContainerVersionStatus",
    shortname = "cv",
    category = "trackyard",
    selectable = ".spec.channel",
    selectable = ".spec.track",
    printcolumn(name = "Channel", type_ = "string", json_path = ".spec.channel"),
    printcolumn(name = "Track", type_ = "string", json_path = ".spec.track"),
    printcolumn(name = "Version", type_ = "string", json_path = ".status.version"),
    printcolumn(name = "Ready", type_ = "integer", json_path = ".status.workers.ready"),
    printcolumn(name = "Workers", type_ = "integer", json_path = ".status.workers.total"),
    printcolumn(
        name = "State",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#
    ),
    printcolumn(name = "Digest", type_ = "string", json_path = ".status.digest", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[x_kube(validation = Rule::new("has(self.version) != has(self.gitReference)")
    .message("either version, of an image that is there, or gitReference, to build it"))]
#[x_kube(validation = Rule::new(FIXED).message("only limits can be changed; make another ContainerVersion"))]
pub struct ContainerVersionSpec {
    /// The kind of tooling.
    pub channel: Tooling,

    /// The track's slug, such as `ruby`.
    #[schemars(length(max = 64))]
    #[x_kube(validation = ("self.matches('^[a-z0-9][a-z0-9_-]{0,63}$')", "a track's slug is 1 to 64 of a-z 0-9 - _, starting with a letter or a digit"))]
    pub track: String,

    /// The image's tag: `git-` and a commit's sha.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    #[x_kube(validation = ("self.matches('^(git-|sha-)?[0-9a-f]{40}$')", "a version is git-<40 hex>, sha-<40 hex> or <40 hex>"))]
    pub version: Option<String>,

    /// What to build first: a sha, a branch or a tag of the track's tooling repository. It is resolved once.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    #[x_kube(validation = ("self.matches('^[A-Za-z0-9][A-Za-z0-9._/-]*$') && !self.contains('..')", "a git reference is a 40-hex sha, a branch or a tag"))]
    pub git_reference: Option<String>,

    /// What a job of this version may use, over the limits of the router's configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
}

/// All but the limits is as it was.
const FIXED: &str = "self.channel == oldSelf.channel && self.track == oldSelf.track && \
    has(self.version) == has(oldSelf.version) && (!has(self.version) || self.version == oldSelf.version) && \
    has(self.gitReference) == has(oldSelf.gitReference) && \
    (!has(self.gitReference) || self.gitReference == oldSelf.gitReference)";
