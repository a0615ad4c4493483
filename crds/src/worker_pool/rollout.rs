//! Replacing pods.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// How pods are replaced when the pool changes: as with a Deployment.
#[derive(Debug, Clone, PartialEq, KubeSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!(string(self.maxSurge).matches('^0+%?$') && string(self.maxUnavailable).matches('^0+%?$'))")
    .message("maxSurge and maxUnavailable cannot both be 0, or no pod could be replaced"))]
pub struct Rollout {
    /// Maximum number of pods above `replicas`: a number, or a share such as 25%.
    #[x_kube(validation = ("string(self).matches('^[0-9]{1,5}%?$')", "maxSurge is a number or a share such as 25%"))]
    #[serde(default = "a_quarter")]
    pub max_surge: IntOrString,
    /// Maximum number of pods that may be missing from `replicas`: a number, or a share such as 25%.
    #[x_kube(validation = ("string(self).matches('^[0-9]{1,5}%?$')", "maxUnavailable is a number or a share such as 25%"))]
    #[serde(default = "none")]
    pub max_unavailable: IntOrString,
}

impl Default for Rollout {
    fn default() -> Self {
        Self { max_surge: a_quarter(), max_unavailable: none() }
    }
}

fn a_quarter() -> IntOrString {
    IntOrString::String("25%".to_owned())
}

const fn none() -> IntOrString {
    IntOrString::Int(0)
}
