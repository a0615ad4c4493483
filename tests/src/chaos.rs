//! Real binaries under a seeded plan of faults, and a checker that knows what was sent.
//!
//! [`plan`] says from a seed which jobs are sent and what goes wrong when; [`run()`] plays it on a [`yard`] and writes
//! what it sees into a [`ledger`]; [`check`] reads the ledger alone.

pub mod check;
mod client;
mod clock;
mod disk;
pub mod fault;
pub mod figures;
pub mod ledger;
pub mod plan;
mod quiet;
mod random;
pub mod report;
mod rest;
mod run;
mod strike;
pub mod trace;
mod wire;
mod yard;

pub use run::{Extent, Outcome, run};
