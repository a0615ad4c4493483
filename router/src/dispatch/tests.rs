//! The dispatcher's rules, one by one; `tests/simulation` has them all at once.

mod builds;
mod choice;
mod endings;
mod harness;
mod queues;
mod workers;
