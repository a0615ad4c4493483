//! Decides what to do with a client's message. Pure: a message and a [`RequestContext`] go in, a [`Decision`] comes out.
//!
//! The checks run in a fixed order: the message's shape (502, 501), the caller's role (506), the fields' values (400),
//! then whether the track (502) and the version (505) exist.

mod build;
mod configure;
mod decide;
mod job;
mod key;
mod reply;
#[cfg(test)]
mod tests;
mod views;

use std::collections::BTreeSet;

use trackyard_protocol::build::BuildProgress;
use trackyard_protocol::keys::PublicKey;
use trackyard_protocol::request::{Action, Tooling, VersionRequest};
use trackyard_protocol::token::{Epoch, JobKey};
use trackyard_protocol::version::ContainerVersion;

use crate::caller::Role;
use crate::config::Config;
use crate::dispatch::{NewJob, Snapshot};

pub use decide::decide;
pub use reply::Reply;
pub(crate) use views::container_versions;

/// What a decision needs to know about the router and the caller. Functions provide what is expensive to compute.
pub struct RequestContext<'a> {
    /// The configuration in force.
    pub config: &'a Config,
    /// This start of the router.
    pub epoch: Epoch,
    /// The number of the workers' port.
    pub workers_port: u16,
    /// The router's public key, which workers need.
    pub server_key: Option<&'a PublicKey>,
    /// The key that the caller proved; empty if it had to prove one and did not; `None` on the port without keys.
    pub caller: Option<&'a str>,
    /// True while the router shuts down and refuses changes.
    pub draining: bool,
    /// Returns the caller's role.
    pub role: &'a mut dyn FnMut() -> Role,
    /// Returns the state of the dispatcher.
    pub snapshot: &'a dyn Fn() -> Snapshot,
    /// Returns the progress of the build with a key, and its log lines from a number on.
    pub progress: &'a dyn Fn(JobKey, u64) -> BuildProgress,
}

/// A request and the decision about it.
#[derive(Debug)]
pub struct DecidedRequest {
    /// The action, if it is known.
    pub action: Option<Action>,
    /// The client's id, if there is one.
    pub id: Option<String>,
    /// What to do.
    pub decision: Decision,
}

/// What to do with a request.
#[derive(Debug)]
pub enum Decision {
    /// Answer immediately.
    Reply(Reply),
    /// Give the job to the dispatcher.
    Job(Box<NewJob>),
    /// Do I/O in the background, and answer when it is done.
    Background(BackgroundTask),
    /// Answer, then let all workers bootstrap again.
    RestartWorkers(Reply),
    /// Answer, then restart the router.
    RestartRouter(Reply),
}

/// A task that waits for files or the network, and so does not run on the service's thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BackgroundTask {
    /// Deploy a version.
    Deploy(VersionRequest),
    /// Unload a version.
    Unload(VersionRequest),
    /// Replace a track's versions.
    Update {
        /// The channel and track.
        tooling: Tooling,
        /// All versions that the track shall have.
        versions: BTreeSet<ContainerVersion>,
    },
    /// List the images of a track's repository.
    ListAvailable(Tooling),
}

impl BackgroundTask {
    /// Returns true for a task that changes the deployed versions, which only an administrator may.
    #[must_use]
    pub const fn is_change(&self) -> bool {
        !matches!(self, Self::ListAvailable(_))
    }
}
