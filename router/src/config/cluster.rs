//! The part of the configuration that comes from a cluster.

use std::collections::BTreeMap;

use trackyard_protocol::limits::Limits;
use trackyard_protocol::request::Tooling;
use trackyard_protocol::version::ContainerVersion;

use crate::dispatch::PoolCover;

/// The part of the configuration that comes from a cluster, besides the deployed versions.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ClusterConfig {
    /// True until the cluster has listed its versions. Until then only the versions that workers report are known.
    pub is_loading: bool,
    /// The limits of versions that override the defaults.
    pub limits: BTreeMap<(Tooling, ContainerVersion), Limits>,
    /// The pools that may have workers.
    pub pools: Vec<PoolCover>,
}
