//! The operator: makes pods of WorkerPools. What is decided is pure (`pool::{validate, build, status, autoscale, demand}`);
//! what talks to the cluster is `pool::{controller, dereference, apply}`.

pub mod args;
pub mod metrics;
pub mod pool;
pub mod run;
