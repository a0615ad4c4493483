//! The router's configuration: the content of the file, and its defaults.

mod cluster;
mod error;
mod file;
mod legacy;
mod limits;
mod live;
mod read;
#[cfg(test)]
mod tests;
mod unique;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use trackyard_protocol::build::BuildLimits;
use trackyard_protocol::channel::Channel;
use trackyard_protocol::name::TrackSlug;
use trackyard_protocol::quantity::{Bytes, HumanDuration};
use trackyard_protocol::request::Tooling;
use trackyard_protocol::source::{
    GitSource, ImageSource, ImageSourceKind, InputPolicy, default_repositories,
};

pub use cluster::ClusterConfig;
pub use error::{ConfigError, Position};
pub use file::ConfigFile;
pub use limits::{ChannelLimits, LimitTable};
pub use live::LiveConfig;
pub use read::{Read, read};

use crate::deployed::Deployed;

/// The content of the configuration file, and the part that comes from a cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The source of tooling images.
    pub images: ImageSource,
    /// The source of the repositories that tooling is built from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<GitSource>,
    /// The sources that submissions may come from.
    pub inputs: InputPolicy,
    /// The deployed versions.
    pub container_versions: Deployed,
    /// The limits of jobs.
    #[serde(skip_serializing_if = "LimitTable::is_empty")]
    pub limits: LimitTable,
    /// The limits of builds.
    #[serde(skip_serializing_if = "is_default")]
    pub builds: BuildLimits,
    /// The limits of the queue.
    pub queue: QueueLimits,
    /// Tracks whose jobs wait even while no worker for them is connected.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub expected: BTreeMap<Channel, BTreeSet<TrackSlug>>,
    /// The part of the configuration that comes from a cluster.
    #[serde(skip)]
    pub cluster: ClusterConfig,
    /// The legacy form of `container_versions`, which is read but never written.
    #[serde(skip_serializing)]
    workers: Option<legacy::Workers>,
}

/// The limits of the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QueueLimits {
    /// Maximum time that a job waits for a free slot.
    pub max_wait: HumanDuration,
    /// Maximum number of waiting jobs, over all tracks.
    pub max_jobs: u32,
    /// Maximum bytes of the waiting jobs, over all tracks.
    pub max_bytes: Bytes,
}

impl Default for QueueLimits {
    fn default() -> Self {
        Self { max_wait: HumanDuration::from_secs(10), max_jobs: 10_000, max_bytes: Bytes(256 << 20) }
    }
}

impl Config {
    /// Returns the tracks whose jobs wait even while no worker for them is connected.
    #[must_use]
    pub fn expected_places(&self) -> BTreeSet<Tooling> {
        let tracks =
            self.expected.iter().flat_map(|(channel, tracks)| tracks.iter().map(|track| (*channel, track)));
        tracks.map(|(channel, track)| Tooling { channel, track: track.clone() }).collect()
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            images: ImageSource {
                kind: ImageSourceKind::Layout,
                location: "/var/lib/trackyard/images".to_owned(),
                repositories: default_repositories(),
            },
            source: None,
            inputs: InputPolicy::default(),
            container_versions: Deployed::default(),
            limits: LimitTable::default(),
            builds: BuildLimits::default(),
            queue: QueueLimits::default(),
            expected: BTreeMap::new(),
            cluster: ClusterConfig::default(),
            workers: None,
        }
    }
}

fn is_default(limits: &BuildLimits) -> bool {
    *limits == BuildLimits::default()
}
