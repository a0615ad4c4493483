//! `ContainerVersion`: a deployed version of a track's container.

mod limits;
mod status;

use kube::{CustomResource, KubeSchema};
use schemars::{Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use trackyard_protocol::channel::Channel;

pub use limits::Limits;
pub use status::{ContainerVersionStatus, Failure, Workers};

/// A container version that jobs may name. The deployed versions are those of all ContainerVersions.
#[derive(Debug, Clone, PartialEq, CustomResource, KubeSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "trackyard.dev",
    version = "v1alpha1",
    kind = "ContainerVersion",
    namespaced,
    cel,
    doc = "A container version that jobs may name. The deployed versions are those of all ContainerVersions.",
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
    .message("set either version, for an image of the registry, or gitReference, to build one"))]
#[x_kube(validation = Rule::new(FIXED).message("only limits can be changed; make another ContainerVersion"))]
pub struct ContainerVersionSpec {
    /// The kind of tooling.
    #[schemars(schema_with = "tooling")]
    pub channel: Channel,

    /// The track's slug, such as `ruby`.
    #[schemars(length(max = 64))]
    #[x_kube(validation = ("self.matches('^[a-z0-9][a-z0-9_-]{0,63}$')", "a track's slug is 1 to 64 of a-z 0-9 - _, starting with a letter or a digit"))]
    pub track: String,

    /// The image's tag: `git-` and a commit's sha.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    #[x_kube(validation = ("self.matches('^(git-|sha-)?[0-9a-f]{40}$')", "a version is git-<40 hex>, sha-<40 hex> or <40 hex>"))]
    pub version: Option<String>,

    /// What to build: a sha, a branch or a tag of the track's tooling repository. It is resolved once.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    #[x_kube(validation = ("self.matches('^[A-Za-z0-9][A-Za-z0-9._/-]*$') && !self.contains('..')", "a git reference is a 40-hex sha, a branch or a tag"))]
    pub git_reference: Option<String>,

    /// What a job of this version may use. They take precedence over the limits of the router's configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
}

/// Only the limits may change.
const FIXED: &str = "self.channel == oldSelf.channel && self.track == oldSelf.track && \
    has(self.version) == has(oldSelf.version) && (!has(self.version) || self.version == oldSelf.version) && \
    has(self.gitReference) == has(oldSelf.gitReference) && \
    (!has(self.gitReference) || self.gitReference == oldSelf.gitReference)";

/// Returns the schema of a channel that has container versions.
fn tooling(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "enum": Channel::TOOLING})
}
