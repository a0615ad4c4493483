//! Answers that show the state of the router.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::json;
use trackyard_protocol::channel::Channel;
use trackyard_protocol::name::TrackSlug;
use trackyard_protocol::request::Tooling;
use trackyard_protocol::version::{ContainerVersion, PinnedVersion};

use super::reply::Reply;
use crate::deployed::{Deployed, ToolingRef};
use crate::dispatch::Snapshot;

/// Lists the deployed versions by channel and track.
pub(crate) fn container_versions(deployed: &Deployed) -> Reply {
    Reply::ok(&json!({"container_versions": deployed.listing()}))
}

/// Describes all workers. The ids of jobs are left out, because they belong to other clients.
pub(super) fn workers_info(snapshot: &Snapshot) -> Reply {
    let mut workers = snapshot.workers.clone();
    workers.iter_mut().flat_map(|worker| &mut worker.jobs).for_each(|job| job.id = None);
    Reply::ok(&json!({"workers_info": workers}))
}

/// The summary of one channel.
#[derive(Debug, Default, Serialize)]
struct ChannelStatus<'a> {
    /// Number of connected workers.
    present_workers: usize,
    /// Number of workers that take jobs, by topic.
    online_workers: BTreeMap<String, usize>,
    /// Number of those that have each deployed version ready.
    deployed_versions: BTreeMap<&'a TrackSlug, BTreeMap<&'a ContainerVersion, usize>>,
}

/// Summarizes all channels.
pub(super) fn workers_status(deployed: &Deployed, snapshot: &Snapshot) -> Reply {
    let mut status: BTreeMap<Channel, ChannelStatus<'_>> =
        Channel::TOOLING.iter().map(|channel| (*channel, ChannelStatus::default())).collect();
    for worker in &snapshot.workers {
        let channel = status.entry(worker.channel).or_default();
        channel.present_workers += 1;
        for topic in worker.topics.iter().filter(|_| !worker.draining) {
            *channel.online_workers.entry(topic.to_string()).or_default() += 1;
        }
    }
    for (tooling, versions) in deployed.iter() {
        let ready =
            |pinned: &PinnedVersion| snapshot.online(tooling).filter(|w| w.has(tooling, pinned)).count();
        let by_version = versions.iter().map(|pinned| (&pinned.version, ready(pinned))).collect();
        status.entry(tooling.channel).or_default().deployed_versions.insert(tooling.track, by_version);
    }
    Reply::ok(&json!({"workers_status": status}))
}

/// Maps each version to whether all workers that serve the track have it ready. Without such a worker it is false,
/// because a job would not run.
pub(super) fn deployment_check(tooling: &Tooling, deployed: &[PinnedVersion], snapshot: &Snapshot) -> Reply {
    let track = ToolingRef { channel: tooling.channel, track: &tooling.track };
    let ready = |pinned: &PinnedVersion| {
        let mut workers = snapshot.online(track).peekable();
        workers.peek().is_some() && workers.all(|worker| worker.has(track, pinned))
    };
    let status: BTreeMap<_, _> = deployed.iter().map(|pinned| (&pinned.version, ready(pinned))).collect();
    Reply::ok(&json!({"status": status}))
}
