//! `WorkerPool`: worker pods of one channel and its topics.

mod autoscale;
mod cache;
mod rollout;
mod slot;
mod status;
mod template;

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};
use trackyard_protocol::channel::Channel;
use trackyard_protocol::quantity::HumanDuration;

pub use autoscale::Autoscale;
pub use cache::{Cache, EmptyDir, NodeLocal};
pub use rollout::Rollout;
pub use slot::Slot;
pub use status::WorkerPoolStatus;
pub use template::Template;

/// The names of a pool's children are its own name and a suffix, so its name is shorter than theirs may be.
const NAME: &str = "self.metadata.name.matches('^[a-z0-9]([-a-z0-9]{0,50}[a-z0-9])?$')";

/// Worker pods of one channel. They are privileged.
#[derive(Debug, Clone, PartialEq, CustomResource, KubeSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "trackyard.dev",
    version = "v1alpha1",
    kind = "WorkerPool",
    namespaced,
    cel,
    doc = "Worker pods of one channel. They are privileged.",
    derive = "PartialEq",
    status = "WorkerPoolStatus",
    shortname = "wp",
    category = "trackyard",
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(name = "Channel", type_ = "string", json_path = ".spec.channel"),
    printcolumn(name = "Topics", type_ = "string", json_path = ".spec.topics"),
    printcolumn(name = "Desired", type_ = "integer", json_path = ".spec.replicas"),
    printcolumn(name = "Ready", type_ = "integer", json_path = ".status.readyReplicas"),
    printcolumn(name = "Draining", type_ = "integer", json_path = ".status.drainingReplicas", priority = 1),
    printcolumn(
        name = "State",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new(NAME).message("a pool's name is a DNS label of at most 52 characters")
)]
#[x_kube(validation = Rule::new("!has(self.autoscale) || !has(oldSelf.autoscale) || self.replicas == oldSelf.replicas")
    .message("replicas cannot be changed while autoscale is set; remove autoscale first")
    .field_path(".replicas"))]
#[x_kube(validation = Rule::new("self.channel != 'builders' || !has(self.drainTimeout) || !self.drainTimeout.matches('^[0-9]+[hms]') || duration(self.drainTimeout) >= duration('5m')")
    .message("drainTimeout is at least 5m for builders, so that no running build is lost")
    .field_path(".drainTimeout"))]
pub struct WorkerPoolSpec {
    /// The kind of work. It cannot be changed.
    #[x_kube(validation = ("self == oldSelf", "channel cannot be changed; make another pool"))]
    pub channel: Channel,

    /// The tracks whose jobs the workers take, or `*` for all tracks. A track's jobs go to workers that name the track first, then to
    /// generic ones.
    #[schemars(length(min = 1, max = 64), inner(length(max = 64)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    #[x_kube(validation = ("self.all(topic, topic == '*' || topic.matches('^[a-z0-9][a-z0-9_-]{0,63}$'))", "a topic is * or a track's slug: 1 to 64 of a-z 0-9 - _, starting with a letter or a digit"))]
    #[x_kube(validation = ("self.size() == 1 || !self.exists(topic, topic == '*')", "* stands for all tracks, so it must be the only topic"))]
    pub topics: Vec<String>,

    /// Number of pods. Ignored with `autoscale`.
    #[serde(default = "one")]
    #[schemars(range(min = 0, max = 10_000))]
    pub replicas: i32,

    /// Scales the pool by the jobs that wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub autoscale: Option<Autoscale>,

    /// Jobs that one pod runs at a time.
    #[serde(default = "four")]
    #[schemars(range(min = 1, max = 256))]
    pub slots: i32,

    /// The resources of one slot. A pod requests, and is limited to, these times `slots`, and a share for the agent.
    #[serde(default)]
    pub slot: Slot,

    /// Where a pod keeps image layers.
    #[serde(default)]
    pub cache: Cache,

    /// How long a pod that ends waits for its running jobs. Jobs that are unfinished then run elsewhere. Default: 60s, and 20m
    /// for builders.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drain_timeout: Option<HumanDuration>,

    /// `true`: the workers finish their jobs, and the pool is scaled to no pods.
    #[serde(default)]
    pub suspend: bool,

    /// The agent's image. Default: that of the operator's own release.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub image: Option<String>,

    /// How pods are replaced when the pool changes.
    #[serde(default)]
    pub rollout: Rollout,

    /// Further settings of the pods.
    #[serde(default)]
    pub template: Template,
}

const fn one() -> i32 {
    1
}

const fn four() -> i32 {
    4
}
