//! What the user adds to the pods of a pool.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Affinity, EnvVar, LocalObjectReference, Toleration, TopologySpreadConstraint,
};
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// Further settings of the pods.
#[derive(Debug, Clone, Default, PartialEq, KubeSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Template {
    /// Labels of the nodes that may run the pods.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,
    /// Taints that the pods tolerate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tolerations: Vec<Toleration>,
    /// Rules for the nodes that are preferred or required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Affinity>,
    /// How the pods are spread over the cluster.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub topology_spread_constraints: Vec<TopologySpreadConstraint>,
    /// The priority class of the pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority_class_name: Option<String>,
    /// The service account, such as one with rights to a registry and a bucket. Default: one that the operator makes for
    /// the pool. Pods get no token for the API server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account_name: Option<String>,
    /// Secrets with the credentials to pull the agent's image.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub image_pull_secrets: Vec<LocalObjectReference>,
    /// More labels of the pods.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    #[x_kube(validation = ("self.all(name, !name.startsWith('trackyard.dev/') && !name.startsWith('app.kubernetes.io/'))", "labels below trackyard.dev/ and app.kubernetes.io/ are reserved for the operator"))]
    pub labels: BTreeMap<String, String>,
    /// More annotations of the pods.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// More environment variables of the agent, such as `TRACKYARD_ALLOW_BUCKET`: each flag of `trackyard-worker listen`
    /// has one. No job sees them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    #[x_kube(validation = ("!self.exists(variable, variable.name in ['POD_NAME', 'TRACKYARD_NAME', 'TRACKYARD_ROUTER_URL', 'TRACKYARD_WORKDIR', 'TRACKYARD_POOL', 'TRACKYARD_SLOTS', 'TRACKYARD_DRAIN_TIMEOUT', 'TRACKYARD_ADMIN', 'TRACKYARD_RUN_DIR'])", "POD_NAME and the variables that the pool's own fields set, such as TRACKYARD_SLOTS, are reserved for the operator"))]
    pub env: Vec<EnvVar>,
}
