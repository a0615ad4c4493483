//! `WorkerPool`: workers of one channel and topics, as pods.

mod autoscale;
mod cache;
mod rollout;
mod slot;
mod status;
mod template;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use autoscale::Autoscale;
pub use cache::{Cache, EmptyDir, NodeLocal};
pub use rollout::Rollout;
pub use slot::Slot;
pub use status::WorkerPoolStatus;
pub use template::Template;

use crate::scalar::Duration;

/// The longest name: children's names are made of it and a suffix.
const NAME: &str = "self.metadata.name.matches('^[a-z0-9]([-a-z0-9]{0,50}[a-z0-9])?$')";

/// What the workers do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// Runs submissions' tests.
    TestRunners,
    /// Comments on submissions.
    StaticAnalyzers,
    /// Normalises submissions.
    Representers,
    /// Builds container versions from git.
    Builders,
}

impl From<Channel> for trackyard_protocol::channel::Channel {
    fn from(channel: Channel) -> Self {
        match channel {
            Channel::TestRunners => Self::TestRunners,
            Channel::StaticAnalyzers => Self::StaticAnalyzers,
            Channel::Representers => Self::Representers,
            Channel::Builders => Self::Builders,
        }
    }
}

/// Workers of one channel, as privileged pods.
#[derive(Debug, Clone, PartialEq, CustomResource, KubeSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "trackyard.dev",
    version = "v1alpha1",
    kind = "WorkerPool",
    namespaced,
    cel,
    doc = "Workers of one channel, as privileged pods.",
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
    .message("replicas cannot be changed while the pool scales by itself; remove autoscale first")
    .field_path(".replicas"))]
#[x_kube(validation = Rule::new("self.channel != 'builders' || !has(self.drainTimeout) || !self.drainTimeout.matches('^[0-9]+[hms]') || duration(self.drainTimeout) >= duration('5m')")
    .message("a builder's drainTimeout is at least 5m: a build in hand would be lost")
    .field_path(".drainTimeout"))]
pub struct WorkerPoolSpec {
    /// The kind of work. It cannot be changed.
    #[x_kube(validation = ("self == oldSelf", "channel cannot be changed; make another pool"))]
    pub channel: Channel,

    /// The tracks whose jobs the workers take, or `*` for those of any track. A track's own workers are asked first.
    #[schemars(length(min = 1, max = 64), inner(length(max = 64)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    #[x_kube(validation = ("self.all(topic, topic == '*' || topic.matches('^[a-z0-9][a-z0-9_-]{0,63}$'))", "a topic is * or a track's slug: 1 to 64 of a-z 0-9 - _, starting with a letter or a digit"))]
    #[x_kube(validation = ("self.size() == 1 || !self.exists(topic, topic == '*')", "* stands for all tracks, so it stands alone"))]
    pub topics: Vec<String>,

    /// Pods. With `autoscale` it is not looked at.
    #[serde(default = "one")]
    #[schemars(range(min = 0, max = 10_000))]
    pub replicas: i32,

    /// Scales the pool by what waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub autoscale: Option<Autoscale>,

    /// Jobs that one pod runs at a time.
    #[serde(default = "four")]
    #[schemars(range(min = 1, max = 256))]
    pub slots: i32,

    /// What one slot may use. A pod requests, and is limited to, that times its slots, and a share for the agent.
    #[serde(default)]
    pub slot: Slot,

    /// Where a pod keeps image layers.
    #[serde(default)]
    pub cache: Cache,

    /// How long a pod that ends waits for the jobs in hand; what is unfinished then runs elsewhere. 60s if not set, and
    /// 20m for builders.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drain_timeout: Option<Duration>,

    /// True: the workers finish what they have in hand, and no pod stays.
    #[serde(default)]
    pub suspend: bool,

    /// The agent's image; the operator's own release if not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub image: Option<String>,

    /// How pods are replaced when something of the pool changes.
    #[serde(default)]
    pub rollout: Rollout,

    /// What else the pods have.
    #[serde(default)]
    pub template: Template,
}

const fn one() -> i32 {
    1
}

const fn four() -> i32 {
    4
}
