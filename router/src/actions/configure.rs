//! Answers the request with which a worker bootstraps.

use serde_json::json;
use trackyard_protocol::channel::{Channel, Topics};
use trackyard_protocol::keys::PublicKey;
use trackyard_protocol::worker::TrackVersion;

use super::RequestContext;
use super::reply::Reply;

/// Returns the workers' port, the router's key, and the versions that the worker shall prepare.
pub(super) fn reply(channel: Channel, topics: &Topics, context: &RequestContext<'_>) -> Reply {
    let mut desired = Vec::new();
    for (tooling, versions) in context.config.container_versions.iter() {
        if tooling.channel == channel && topics.covers(tooling.track) {
            let resolved = versions.iter().filter(|pinned| pinned.digest.is_some());
            desired.extend(
                resolved.map(|pinned| TrackVersion { track: tooling.track.clone(), version: pinned.clone() }),
            );
        }
    }
    Reply::ok(&json!({
        "workers_port": context.workers_port,
        "server_key": context.server_key.map(PublicKey::as_str),
        "epoch": context.epoch,
        "desired": desired,
    }))
}
