//! WorkerPools: creates their pods, scales them, and reports their state.

mod apply;
pub mod autoscale;
pub mod build;
mod context;
pub mod controller;
pub mod demand;
mod dereference;
pub mod labels;
mod reconcile;
pub mod rollout;
mod scale;
mod shrink;
pub mod status;
mod validate;
