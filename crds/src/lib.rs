//! Trackyard's Kubernetes resources. Their schemas, with all rules, are derived from the types here. [`verdict`] checks an object
//! as the API server would.

#![expect(unreachable_pub, reason = "KubeSchema repeats a type inside a function of its own")]
#![expect(clippy::duplicated_attributes, reason = "two printer columns may have the same type")]

#[cfg(feature = "client")]
pub mod client;
pub mod condition;
pub mod container_version;
pub mod generate;
pub mod verdict;
pub mod worker_pool;

pub use container_version::ContainerVersion;
pub use worker_pool::WorkerPool;

/// The API group.
pub const GROUP: &str = "trackyard.dev";
/// The API version that is served and stored.
pub const VERSION: &str = "v1alpha1";
