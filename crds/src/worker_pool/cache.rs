//! Where a pod keeps image layers.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};
use trackyard_protocol::quantity::Bytes;

/// Where a pod keeps image layers: either `emptyDir` or `nodeLocal`.
#[derive(Debug, Clone, PartialEq, KubeSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.emptyDir) != has(self.nodeLocal)")
    .message("cache is either emptyDir or nodeLocal"))]
pub struct Cache {
    /// A directory that is removed with the pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub empty_dir: Option<EmptyDir>,
    /// A directory of the node. The pool's pods share it, and it outlives them. It holds only verified layers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_local: Option<NodeLocal>,
}

/// A directory that is removed with the pod.
#[derive(Debug, Clone, PartialEq, KubeSchema, Serialize, Deserialize)]
pub struct EmptyDir {
    /// Maximum size.
    #[serde(default = "twenty_gib")]
    pub size: Bytes,
}

/// A directory of the node.
#[derive(Debug, Clone, PartialEq, KubeSchema, Serialize, Deserialize)]
pub struct NodeLocal {
    /// Maximum size.
    #[serde(default = "twenty_gib")]
    pub size: Bytes,
}

impl Default for Cache {
    fn default() -> Self {
        Self { empty_dir: Some(EmptyDir { size: twenty_gib() }), node_local: None }
    }
}

const fn twenty_gib() -> Bytes {
    Bytes(20 << 30)
}
