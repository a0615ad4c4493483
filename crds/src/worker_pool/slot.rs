//! The resources of a slot.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};
use trackyard_protocol::quantity::{Bytes, Cpus};

/// The resources of one slot. The router sends no job whose limits exceed them.
#[derive(Debug, Clone, PartialEq, KubeSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Slot {
    /// Processors.
    #[serde(default = "one_processor")]
    pub cpu: Cpus,
    /// Memory.
    #[serde(default = "three_gib")]
    pub memory: Bytes,
    /// Disk for the files of a job, or of a build.
    #[serde(default = "one_gib")]
    pub storage: Bytes,
}

impl Default for Slot {
    fn default() -> Self {
        Self { cpu: one_processor(), memory: three_gib(), storage: one_gib() }
    }
}

const fn one_processor() -> Cpus {
    Cpus(1000)
}

const fn three_gib() -> Bytes {
    Bytes(3 << 30)
}

const fn one_gib() -> Bytes {
    Bytes(1 << 30)
}
