//! What a worker asks first.

use serde_json::json;
use trackyard_protocol::channel::{Channel, Topics};
use trackyard_protocol::keys::PublicKey;
use trackyard_protocol::worker::TrackVersion;

use super::decide::World;
use super::reply::Reply;

/// The workers' port and key, and the versions to prepare.
pub(super) fn answer(channel: Channel, topics: &Topics, world: &World<'_>) -> Reply {
    let wanted = |track: &_| topics.covers(track);
    let mut desired = Vec::new();
    for (place, versions) in world.config.container_versions.iter() {
        if place.channel == channel && wanted(place.track) {
            let resolved = versions.iter().filter(|pinned| pinned.digest.is_some());
            desired.extend(
                resolved.map(|pinned| TrackVersion { track: place.track.clone(), version: pinned.clone() }),
            );
        }
    }
    Reply::ok(&json!({
        "workers_port": world.workers_port,
        "server_key": world.server_key.map(PublicKey::as_str),
        "epoch": world.epoch,
        "desired": desired,
    }))
}
