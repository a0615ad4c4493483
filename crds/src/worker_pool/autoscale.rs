//! Scaling by what waits.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::scalar::Duration;

/// How many pods there are, by what waits.
#[derive(Debug, Clone, PartialEq, KubeSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.min <= self.max").message("autoscale.min is at most autoscale.max"))]
pub struct Autoscale {
    /// The fewest pods; none with 0.
    #[serde(default)]
    #[schemars(range(min = 0, max = 10_000))]
    pub min: i32,

    /// The most pods.
    #[schemars(range(min = 1, max = 10_000))]
    pub max: i32,

    /// How long a job may wait: there are as many pods as it takes.
    #[serde(default = "two_seconds")]
    #[x_kube(validation = ("!self.matches('^[0-9]+[hms]') || duration(self) > duration('0s')", "targetQueueAge is more than 0"))]
    pub target_queue_age: Duration,

    /// How long fewer pods must do before there are fewer.
    #[serde(default = "five_minutes")]
    pub scale_down_after: Duration,

    /// How long a job may wait for a pool without pods, from none to a pod that is ready.
    #[serde(default = "three_minutes")]
    pub cold_start: Duration,
}

const fn two_seconds() -> Duration {
    Duration::from_secs(2)
}

const fn five_minutes() -> Duration {
    Duration::from_secs(300)
}

const fn three_minutes() -> Duration {
    Duration::from_secs(180)
}
