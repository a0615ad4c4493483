//! What `/status.json` shows, and the gauges.

use serde::Serialize;
use trackyard_protocol::channel::{Channel, Topics};
use trackyard_protocol::worker::TrackVersion;

use super::Agent;
use crate::connection::Identity;

/// A worker as it stands.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// Its name.
    pub name: String,
    /// This start of it.
    pub incarnation: String,
    /// Its channel.
    pub channel: Channel,
    /// What it is scoped to.
    pub topics: Topics,
    /// Room for jobs.
    pub slots: u32,
    /// Jobs in hand.
    pub busy: u32,
    /// Results that the router does not have yet.
    pub unacknowledged: usize,
    /// True while a router knows this worker.
    pub connected: bool,
    /// True once it takes no more jobs.
    pub draining: bool,
    /// Versions that jobs can be run with.
    pub ready: Vec<TrackVersion>,
    /// Versions that could not be prepared.
    pub failed: Vec<NotReady>,
}

/// A version that could not be prepared.
#[derive(Debug, Clone, Serialize)]
pub struct NotReady {
    /// The version.
    #[serde(flatten)]
    pub version: TrackVersion,
    /// The reason's word.
    pub reason: &'static str,
    /// What happened.
    pub message: String,
    /// True if it is tried again soon.
    pub retrying: bool,
}

impl Status {
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
    /// Shows how things stand, if they changed.
    pub(super) fn show(&self) {
        let failed: Vec<NotReady> = self
            .versions
            .failures()
            .map(|(version, failure)| NotReady {
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
        gauges.versions_wanted.set(count(self.versions.wanted()));
        gauges.connected.set(self.connection.is_welcome().into());
        self.status.send_modify(|status| {
            status.busy = self.connection.busy();
            status.unacknowledged = self.connection.unacknowledged();
            status.connected = self.connection.is_welcome();
            status.draining = self.connection.is_draining();
            status.ready = ready;
            status.failed = failed;
        });
    }
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
