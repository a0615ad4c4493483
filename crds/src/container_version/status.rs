//! What is true of a version.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What was last seen of the version.
#[derive(Debug, Clone, Default, PartialEq, KubeSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(oldSelf.digest) || has(self.digest) && self.digest == oldSelf.digest")
    .message("a digest that is set never changes"))]
pub struct ContainerVersionStatus {
    /// The tag: that of the spec, or what the git reference was resolved to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The value of the annotation `trackyard.dev/rebuild` when the last build ended. Another value tries one that failed again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rebuild: Option<String>,
    /// The digest of the image under that tag when it was deployed: what jobs run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Where the image is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The workers of its track.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workers: Option<Workers>,
    /// Why workers do not have it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["reason".into()]))]
    pub failures: Vec<Failure>,
    /// The generation that this status is of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Built, Deployed, Ready, Reconciling, Stalled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

/// Workers that are connected and would run the version's jobs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Workers {
    /// Those that have it ready.
    #[serde(default)]
    pub ready: i32,
    /// All.
    #[serde(default)]
    pub total: i32,
}

/// One reason for which workers do not have the version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    /// The reason's word.
    pub reason: String,
    /// What the first of them said.
    #[serde(default)]
    pub message: String,
    /// How many.
    #[serde(default)]
    pub workers: i32,
}
