//! WorkerPools.

pub mod autoscale;
pub mod build;
pub mod demand;
pub mod status;
