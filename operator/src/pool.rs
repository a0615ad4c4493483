//! WorkerPools.

mod apply;
pub mod autoscale;
pub mod build;
pub mod controller;
pub mod demand;
mod dereference;
mod reconcile;
pub mod rollout;
mod scale;
mod shrink;
pub mod status;
mod validate;
