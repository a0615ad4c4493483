//! The operator: creates the pods of WorkerPools, and reports which workers have a ContainerVersion.
//!
//! Decisions are pure (`pool::{validate, build, rollout, status, autoscale, demand}`, `version::{build, status}`,
//! `builds::tracker`, `lease::decide`, `keys::contents`). Only the watches, the controllers and `writer` talk to the cluster,
//! and every write goes through `writer`.

pub mod args;
pub mod backoff;
pub mod builds;
pub mod crd_wait;
pub mod events;
pub mod keys;
pub mod lease;
pub mod load_report;
pub mod metrics;
pub mod paused;
pub mod pool;
pub mod run;
pub mod version;
pub mod watch_health;
pub mod watches;
pub mod writer;
