//! The part of the configuration that comes from a cluster, where the versions are kept there.

use std::collections::BTreeMap;

use trackyard_protocol::limits::Limits;
use trackyard_protocol::request::Place;
use trackyard_protocol::version::ContainerVersion;

use crate::dispatch::PoolCover;

/// The part of the configuration that comes from a cluster, besides the deployed versions.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FromCluster {
    /// True until the first list of versions has come: then only the versions that workers report are known.
    pub is_unknown: bool,
    /// The limits of single versions.
    pub limits: BTreeMap<(Place, ContainerVersion), Limits>,
    /// The pools that may have workers.
    pub pools: Vec<PoolCover>,
}
