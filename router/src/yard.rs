//! The yard: the namespace of a cluster whose resources say what is deployed, and which pools may start workers.

mod client;
mod combine;
mod object;
mod pools;
mod status;
mod store;
mod watch;
mod writer;

use trackyard_protocol::limits::Limits;
use trackyard_protocol::request::Place;
use trackyard_protocol::version::ContainerVersion;

pub use client::{Error, connect};
pub use combine::combine;
pub use object::Version;
pub use store::KubernetesStore;
pub use watch::{Gates, watch};

use crate::config::{Config, FromCluster, check};
use crate::dispatch::PoolCover;
use crate::versions::Deployed;

/// What the resources of the yard say.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Yard {
    /// The versions; none until the first list of them has come.
    pub versions: Option<Vec<Version>>,
    /// The pools that may have workers.
    pub pools: Vec<PoolCover>,
}

impl Yard {
    /// The configuration with what the yard says; the file's own versions do not count in a cluster.
    #[must_use]
    pub fn over(&self, config: &Config) -> Config {
        let versions = self.versions.as_deref().unwrap_or_default();
        let limits = versions.iter().filter_map(|known| limits(known, config));
        let from_cluster = FromCluster {
            is_unknown: self.versions.is_none(),
            limits: limits.collect(),
            pools: self.pools.clone(),
        };
        let mut joined = config.clone();
        joined.container_versions = deployed(versions);
        joined.cluster = from_cluster;
        joined
    }
}

/// A version's own limits; those with which no job could run do not count.
fn limits(known: &Version, config: &Config) -> Option<((Place, ContainerVersion), Limits)> {
    let limits = known.limits.as_ref()?.over(&config.limits.of(known.place.channel, &known.place.track));
    if let Err(why) = check(&limits) {
        tracing::error!(object = known.name, why, "the limits of this version are left out");
        return None;
    }
    Some(((known.place.clone(), known.pinned.version.clone()), limits))
}

/// The versions as a set: two objects may name one version.
fn deployed(versions: &[Version]) -> Deployed {
    let mut deployed = Deployed::default();
    versions.iter().for_each(|known| deployed.deploy(&known.place, known.pinned.clone()));
    deployed
}

#[cfg(test)]
mod tests;
