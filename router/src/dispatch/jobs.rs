//! Jobs: how they arrive, how they end, and when they run again.

mod arrival;
mod completion;
mod job;
mod payload;
mod poison;
mod retry;

pub(super) use job::{Job, Jobs};
pub(super) use poison::Poison;
