//! The operator: makes pods of WorkerPools, and tells of ContainerVersions who has them. What is decided is pure
//! (`pool::{validate, build, rollout, status, autoscale, demand}`, `version::{built, status}`, `builds::book`, `lease::decide`,
//! `keys::fill`); what talks to the cluster is `watches` and the controllers, and `writer`, through which everything is written.

pub mod args;
pub mod backoff;
pub mod builds;
mod condition;
pub mod events;
pub mod figures;
pub mod hands_off;
pub mod keys;
pub mod kinds;
pub mod lease;
pub mod metrics;
pub mod pool;
pub mod run;
pub mod shared;
pub mod version;
pub mod vitals;
pub mod watches;
pub mod writer;
