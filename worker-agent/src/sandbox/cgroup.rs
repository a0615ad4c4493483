//! Control groups: the limits of a job, what it used, and the one way to kill all of it.
//!
//! Version 1, version 2 and machines with both ("hybrid") are told apart by what is mounted. Each job gets a fresh
//! group below the worker's own, so that its counters begin at zero and no pod's limit is escaped.

pub(crate) mod group;
pub(crate) mod layout;
pub(crate) mod root;
pub(crate) mod tree;
pub(crate) mod usage;
pub(crate) mod writes;
