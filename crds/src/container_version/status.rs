//! The status of a version.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The last observed state of the version.
#[derive(Debug, Clone, Default, PartialEq, KubeSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(oldSelf.digest) || has(self.digest) && self.digest == oldSelf.digest")
    .message("a digest that is set never changes"))]
pub struct ContainerVersionStatus {
    /// The tag: that of the spec, or the one that the git reference was resolved to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The value of the annotation `trackyard.dev/rebuild` when the last build ended. Another value retries a build that
    /// failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rebuild: Option<String>,
    /// The digest of the image that jobs run: that of the tag when it was deployed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The image's reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The workers of the track.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workers: Option<Workers>,
    /// Why some workers do not have the version.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["reason".into()]))]
    pub failures: Vec<Failure>,
    /// The generation that this status describes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Built, Deployed, Ready, Reconciling, Stalled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

/// Connected workers that can run the version's jobs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Workers {
    /// Workers that have the version ready.
    #[serde(default)]
    pub ready: i32,
    /// All workers of the track.
    #[serde(default)]
    pub total: i32,
}

/// A reason why workers do not have the version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    /// The name of the reason.
    pub reason: String,
    /// The message of the first of these workers.
    #[serde(default)]
    pub message: String,
    /// Number of workers.
    #[serde(default)]
    pub workers: i32,
}
