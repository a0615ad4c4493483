//! What a pool's user adds to its pods.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Affinity, EnvVar, LocalObjectReference, Toleration, TopologySpreadConstraint,
};
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// What else the pods have.
#[derive(Debug, Clone, Default, PartialEq, KubeSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Template {
    /// Labels of the nodes that pods may be on.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,
    /// Taints that pods tolerate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tolerations: Vec<Toleration>,
    /// Which nodes are preferred or needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Affinity>,
    /// How pods are spread.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub topology_spread_constraints: Vec<TopologySpreadConstraint>,
    /// The pods' priority.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority_class_name: Option<String>,
    /// A service account, such as one with rights to a registry and a bucket; the pool's own if not set. Pods get no
    /// token for the API server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account_name: Option<String>,
    /// Secrets with credentials for the agent's image.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub image_pull_secrets: Vec<LocalObjectReference>,
    /// More labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    #[x_kube(validation = ("self.all(name, !name.startsWith('trackyard.dev/') && !name.startsWith('app.kubernetes.io/'))", "labels below trackyard.dev/ and app.kubernetes.io/ are the operator's"))]
    pub labels: BTreeMap<String, String>,
    /// More annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// More environment of the agent, such as `TRACKYARD_ALLOW_BUCKET`: every flag of `trackyard-worker listen` has a
    /// variable. Nothing of it reaches a job.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    #[x_kube(validation = ("!self.exists(variable, variable.name in ['POD_NAME', 'TRACKYARD_NAME', 'TRACKYARD_ROUTER_URL', 'TRACKYARD_WORKDIR', 'TRACKYARD_POOL', 'TRACKYARD_SLOTS', 'TRACKYARD_DRAIN_TIMEOUT', 'TRACKYARD_ADMIN', 'TRACKYARD_RUN_DIR'])", "POD_NAME and the variables of what the pool itself says, such as TRACKYARD_SLOTS, are the operator's"))]
    pub env: Vec<EnvVar>,
}
