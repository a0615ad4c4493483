//! How large a slot is.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};
use trackyard_protocol::quantity::{Bytes, Cpus};

use crate::scalar::{Processors, Size};

/// What one slot may use. No job is sent whose limits are above.
#[derive(Debug, Clone, PartialEq, KubeSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Slot {
    /// Processors.
    #[serde(default = "one_processor")]
    pub cpu: Processors,
    /// Memory.
    #[serde(default = "three_gib")]
    pub memory: Size,
    /// Disk for the files of a job, or of a build.
    #[serde(default = "one_gib")]
    pub storage: Size,
}

impl Default for Slot {
    fn default() -> Self {
        Self { cpu: one_processor(), memory: three_gib(), storage: one_gib() }
    }
}

const fn one_processor() -> Processors {
    Processors(Cpus(1000))
}

const fn three_gib() -> Size {
    Size(Bytes(3 << 30))
}

const fn one_gib() -> Size {
    Size(Bytes(1 << 30))
}
