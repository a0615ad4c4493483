//! Runs hostile jobs in containers with limits, one at a time in each slot.
//!
//! [`enter`] (in `main`, before any thread) → [`Host::detect`] → [`Host::slots`] → [`Slot::prepare`] → the caller
//! writes the submission → [`PreparedJob::run`] → [`JobOutcome`].
//!
//! - what the machine can do: [`host`](Host), [`cgroup`], `ids`
//! - what a container is made of: `mounts`, `spec`, `seccomp`, `entry`
//! - the run: `run`, `runc`, `watch`, `capture`, then `collect`, `json`, `verdict`, `outcome`
//! - cleaning up after a worker that died: `guard`, `orphans`
//! - a build's cgroup: `slot_cgroup`

pub(crate) mod cgroup;

mod capture;
mod chown;
pub(crate) mod collect;
mod enter;
mod entry;
mod error;
mod guard;
mod host;
mod ids;
mod json;
mod lock;
mod mounts;
mod orphans;
mod outcome;
mod run;
mod runc;
mod seccomp;
mod slot;
mod slot_cgroup;
pub(crate) mod spec;
mod verdict;
mod watch;

pub use capture::{Captured, MAX_CAPTURED};
pub(crate) use enter::enter_at;
pub use enter::{Entered, SandboxConfig, enter};
pub use entry::{EntryScript, JOB_DIR};
pub use error::SandboxError;
pub use host::{Host, HostCheck};
pub use outcome::{JobOutcome, Usage};
pub use slot::{PreparedJob, Rootfs, RunSpec, Slot};
pub use slot_cgroup::SlotCgroup;
