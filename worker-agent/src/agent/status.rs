//! `/status.json` and the gauges.

use serde::Serialize;
use trackyard_protocol::channel::{Channel, Topics};
use trackyard_protocol::worker::TrackVersion;

use super::Agent;
use crate::connection::Identity;

/// The state of a worker.
#[derive(Debug, Clone, Serialize)]
pub struct WorkerStatus {
    /// The worker's name.
    pub name: String,
    /// This start of the worker.
    pub incarnation: String,
    /// The worker's channel.
    pub channel: Channel,
    /// The tracks that the worker is scoped to.
    pub topics: Topics,
    /// Number of jobs that the worker can run at a time.
    pub slots: u32,
    /// Number of running jobs.
    pub busy: u32,
    /// Number of results that the router has not acknowledged yet.
    pub unacknowledged: usize,
    /// Whether the router has accepted this worker.
    pub connected: bool,
    /// Whether the worker takes no more jobs.
    pub draining: bool,
    /// The versions that are ready.
    pub ready: Vec<TrackVersion>,
    /// The versions that could not be prepared.
    pub failed: Vec<FailedVersion>,
}

/// A version that could not be prepared.
#[derive(Debug, Clone, Serialize)]
pub struct FailedVersion {
    /// The version.
    #[serde(flatten)]
    pub version: TrackVersion,
    /// The name of the reason.
    pub reason: &'static str,
    /// The message for clients.
    pub message: String,
    /// Whether the preparation is retried soon.
    pub retrying: bool,
}

impl WorkerStatus {
    pub(super) fn new(identity: &Identity) -> Self {
        Self {
            name: identity.name.to_string(),
            incarnation: identity.incarnation.to_string(),
            channel: identity.channel,
            topics: identity.topics.clone(),
            slots: identity.slots,
            busy: 0,
            unacknowledged: 0,
            connected: false,
            draining: false,
            ready: Vec::new(),
            failed: Vec::new(),
        }
    }
}

impl Agent {
    /// Updates the status page and the gauges.
    pub(super) fn publish_status(&self) {
        let failed: Vec<FailedVersion> = self
            .versions
            .failures()
            .map(|(version, failure)| FailedVersion {
                version: version.clone(),
                reason: failure.reason.as_str(),
                message: failure.message.clone(),
                retrying: failure.is_transient,
            })
            .collect();
        let mut ready: Vec<TrackVersion> = self.ready.keys().cloned().collect();
        ready.sort();
        let gauges = &self.metrics;
        gauges.busy.set(self.connection.busy().into());
        gauges.unacknowledged.set(count(self.connection.unacknowledged()));
        gauges.versions_ready.set(count(self.versions.ready()));
        gauges.versions_desired.set(count(self.versions.desired()));
        gauges.connected.set(self.connection.is_welcomed().into());
        self.status.send_modify(|status| {
            status.busy = self.connection.busy();
            status.unacknowledged = self.connection.unacknowledged();
            status.connected = self.connection.is_welcomed();
            status.draining = self.connection.is_draining();
            status.ready = ready;
            status.failed = failed;
        });
    }
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
