//! Cgroups: they limit a job, count what it used, and are the one way to kill all of it.
//!
//! The mounts tell version 1, version 2 and machines with both ("hybrid") apart. Each job gets a fresh group below the
//! worker's own, so its counters start at zero and it cannot escape the pod's limits.

pub(crate) mod group_dir;
pub(crate) mod job;
pub(crate) mod layout;
pub(crate) mod namespace;
pub(crate) mod settings;
pub(crate) mod stats;
pub(crate) mod worker;
