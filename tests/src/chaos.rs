//! Runs the real binaries under seeded faults, and checks what clients and workers saw.
//!
//! [`plan`] derives jobs and faults from a seed. [`run()`] plays them on a [`fleet`] and records what happens in a
//! [`history`]. [`check`] judges the history alone.

pub mod check;
mod client;
mod clock;
mod disk;
pub mod fault;
mod fleet;
pub mod history;
mod injector;
mod leaks;
pub mod measurements;
pub mod plan;
mod proxy;
mod random;
pub mod report;
mod run;
mod single_faults;
pub mod worker_log;

pub use run::{RunOptions, RunOutcome, run};
