//! Tests of single rules of the dispatcher. `tests/simulation` tests all of them together.

mod builds;
mod choice;
mod endings;
mod harness;
mod queues;
mod workers;
