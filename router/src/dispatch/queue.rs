//! The queue: jobs that wait in lanes, the workers that are chosen for them, and when waiting is of no use.

mod assign;
mod lane;
mod refusal;
mod sorted_queue;

pub(super) use lane::{Lane, Lanes};
pub(super) use sorted_queue::SortedQueue;
