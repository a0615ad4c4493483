//! WorkerPools.

mod apply;
pub mod autoscale;
mod backoff;
pub mod build;
pub mod controller;
pub mod demand;
mod dereference;
mod reconcile;
pub mod status;
mod validate;
