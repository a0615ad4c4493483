//! Scaling a pool by the jobs that wait.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};
use trackyard_protocol::quantity::HumanDuration;

/// The bounds and times of scaling a pool by the jobs that wait.
#[derive(Debug, Clone, PartialEq, KubeSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.min <= self.max").message("autoscale.min is at most autoscale.max"))]
pub struct Autoscale {
    /// Minimum number of pods. With 0, a pool without jobs has no pods.
    #[serde(default)]
    #[schemars(range(min = 0, max = 10_000))]
    pub min: i32,

    /// Maximum number of pods.
    #[schemars(range(min = 1, max = 10_000))]
    pub max: i32,

    /// How long a job may wait. The pool gets as many pods as that takes.
    #[serde(default = "two_seconds")]
    #[x_kube(validation = ("!self.matches('^[0-9]+[hms]') || duration(self) > duration('0s')", "targetQueueAge is more than 0"))]
    pub target_queue_age: HumanDuration,

    /// How long fewer pods must have sufficed before the pool is scaled down.
    #[serde(default = "five_minutes")]
    pub scale_down_after: HumanDuration,

    /// How long a job may wait for the first pod of a pool to be ready.
    #[serde(default = "three_minutes")]
    pub cold_start: HumanDuration,
}

const fn two_seconds() -> HumanDuration {
    HumanDuration::from_secs(2)
}

const fn five_minutes() -> HumanDuration {
    HumanDuration::from_secs(300)
}

const fn three_minutes() -> HumanDuration {
    HumanDuration::from_secs(180)
}
