//! The queue: the lanes in which jobs wait, the choice of their workers, and the jobs that must not wait.

mod assign;
mod lane;
mod refusal;
mod sorted_queue;

pub(super) use lane::{Lane, Lanes};
pub(super) use sorted_queue::SortedQueue;
