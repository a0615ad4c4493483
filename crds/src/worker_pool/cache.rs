//! Where a pod keeps image layers.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};
use trackyard_protocol::quantity::Bytes;

use crate::scalar::Size;

/// Where a pod keeps image layers: one of the two.
#[derive(Debug, Clone, PartialEq, KubeSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.emptyDir) != has(self.nodeLocal)")
    .message("cache is either emptyDir or nodeLocal"))]
pub struct Cache {
    /// A directory that goes with the pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub empty_dir: Option<EmptyDir>,
    /// A directory of the node, which all pods of the pool share and which stays: only verified layers are in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_local: Option<NodeLocal>,
}

/// A directory that goes with the pod.
#[derive(Debug, Clone, PartialEq, KubeSchema, Serialize, Deserialize)]
pub struct EmptyDir {
    /// How large it may become.
    #[serde(default = "twenty_gib")]
    pub size: Size,
}

/// A directory of the node.
#[derive(Debug, Clone, PartialEq, KubeSchema, Serialize, Deserialize)]
pub struct NodeLocal {
    /// How large it may become.
    #[serde(default = "twenty_gib")]
    pub size: Size,
}

impl Default for Cache {
    fn default() -> Self {
        Self { empty_dir: Some(EmptyDir { size: twenty_gib() }), node_local: None }
    }
}

const fn twenty_gib() -> Size {
    Size(Bytes(20 << 30))
}
