//! The dispatcher's rules, one by one; `tests/simulation` has them all at once.

mod bench;
mod builds;
mod endings;
mod queues;
mod rule;
mod workers;
