//! Runs one hostile job at a time per slot, in a container, under limits.
//!
//! [`enter`] (in `main`, before any thread) → [`Host::detect`] → [`Host::slots`] → [`Slot::prepare`] → the caller
//! writes the submission → [`Prepared::run`] → [`Outcome`].
//!
//! - what the machine can do: [`host`](Host), [`cgroup`], `ids`
//! - what a container is made of: `mounts`, `spec`, `seccomp`, `entry`
//! - the run: `runc`, `watch`, `capture`, then `collect`, `json`, `verdict`, `outcome`
//! - what remains when a worker dies: `guard`

pub(crate) mod cgroup;

mod cage;
mod capture;
pub(crate) mod collect;
mod enter;
mod entry;
mod error;
mod guard;
mod helpers;
mod host;
mod ids;
mod json;
mod lock;
mod mounts;
mod outcome;
mod owner;
mod run;
mod runc;
mod seccomp;
mod slot;
pub(crate) mod spec;
mod verdict;
mod watch;

pub use cage::Cage;
pub use capture::{Captured, KEPT};
pub use enter::{Entered, SandboxConfig, enter};
pub use entry::{Entry, JOB_DIR};
pub use error::Error;
pub use host::{Check, Host};
pub use outcome::{Outcome, Usage};
pub use slot::{Prepared, Rootfs, Run, Slot};
