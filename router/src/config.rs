//! The router's configuration: what the file holds, and its defaults.

mod cluster;
mod error;
mod file;
mod limits;
mod live;
mod original;
mod read;
#[cfg(test)]
mod tests;
mod unique;
mod watch;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use trackyard_protocol::build::BuildLimits;
use trackyard_protocol::channel::Channel;
use trackyard_protocol::name::TrackSlug;
use trackyard_protocol::quantity::{Bytes, HumanDuration};
use trackyard_protocol::request::Place;
use trackyard_protocol::source::{
    GitSource, ImageSource, ImageSourceKind, InputPolicy, default_repositories,
};

pub use cluster::ClusterConfig;
pub use error::{ConfigError, Position};
pub use file::ConfigFile;
#[cfg(feature = "cluster")]
pub use limits::{ChannelLimits, LimitTable};
pub use live::{LiveConfig, Look};
pub use read::{Read, read};
pub use watch::watch;

use crate::deployed::Deployed;

/// The configuration, as the file holds it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where tooling images live.
    pub images: ImageSource,
    /// Where tooling is built from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<GitSource>,
    /// Where submissions may come from.
    pub inputs: InputPolicy,
    /// The deployed versions.
    pub container_versions: Deployed,
    /// What jobs may use.
    #[serde(skip_serializing_if = "LimitTable::is_empty")]
    pub limits: LimitTable,
    /// What a build may use.
    #[serde(skip_serializing_if = "is_default")]
    pub builds: BuildLimits,
    /// How many jobs may wait, and how long.
    pub queue: QueueLimits,
    /// Tracks whose jobs wait even while no worker that serves them is connected.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub expected: BTreeMap<Channel, BTreeSet<TrackSlug>>,
    /// What a cluster says, where the versions are kept there.
    #[serde(skip)]
    pub cluster: ClusterConfig,
    /// The original's form of `container_versions`: read, never written.
    #[serde(skip_serializing)]
    workers: Option<original::Workers>,
}

/// How many jobs may wait, and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QueueLimits {
    /// How long a job may wait for a free slot.
    pub max_wait: HumanDuration,
    /// How many jobs may wait, over all tracks.
    pub max_jobs: u32,
    /// How many bytes the waiting jobs may take, over all tracks.
    pub max_bytes: Bytes,
}

impl Default for QueueLimits {
    fn default() -> Self {
        Self { max_wait: HumanDuration::from_secs(10), max_jobs: 10_000, max_bytes: Bytes(256 << 20) }
    }
}

impl Config {
    /// The tracks whose jobs wait even while no worker is connected.
    #[must_use]
    pub fn expected_places(&self) -> BTreeSet<Place> {
        let places = |(channel, tracks): (&Channel, &BTreeSet<TrackSlug>)| {
            let channel = *channel;
            tracks.iter().map(move |track| Place { channel, track: track.clone() }).collect::<Vec<_>>()
        };
        self.expected.iter().flat_map(places).collect()
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
