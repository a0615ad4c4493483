//! From a job request to what the dispatcher takes.

use trackyard_protocol::limits::Limits;
use trackyard_protocol::quantity::HumanDuration;
use trackyard_protocol::reason::Reason;
use trackyard_protocol::request::{JobRequest, Place};
use trackyard_protocol::version::PinnedVersion;

use super::decide::World;
use super::key;
use super::reply::Reply;
use crate::config::Config;
use crate::deployed::Deployed;
use crate::dispatch::{NewJob, Order};

/// The most versions that an answer names.
const MAX_NAMED: usize = 20;

/// A job for the dispatcher, or why there is none: 502, 400, 505 or 503.
pub(super) fn new(request: JobRequest, bytes: usize, world: &World<'_>) -> Result<NewJob, Reply> {
    let config = world.config;
    let unknown = |reply: Reply| if config.cluster.is_loading { versions_unknown() } else { reply };
    let deployed = known_track(&config.container_versions, &request.place).map_err(unknown)?;
    let limits = limits(&request, config)?;
    let version = find(&request, deployed).map_err(unknown)?.clone();
    if version.digest.is_none() {
        let message = format!("{version} is deployed, but its image could not be looked up yet");
        return Err(Reply::error(Reason::StoreUnavailable, message));
    }
    let key = key::of(&request, &version, world.caller);
    Ok(NewJob { order: Order::Run { request, version, limits }, key, bytes })
}

/// Only what workers report is known.
pub(super) fn versions_unknown() -> Reply {
    let message = "the cluster has not said yet which versions are deployed; send this again";
    Reply::error(Reason::StoreUnavailable, message)
}

/// The versions of a track, or 502.
pub(super) fn known_track<'a>(deployed: &'a Deployed, place: &Place) -> Result<&'a [PinnedVersion], Reply> {
    deployed.of(place).ok_or_else(|| {
        let message = format!("{} has no track {}: deploy its first version", place.channel, place.track);
        Reply::error(Reason::UnknownTrack, message)
    })
}

fn limits(request: &JobRequest, config: &Config) -> Result<Limits, Reply> {
    let own = config.cluster.limits.get(&(request.place.clone(), request.version.clone()));
    let limits =
        own.cloned().unwrap_or_else(|| config.limits.of(request.place.channel, &request.place.track));
    let Some(asked) = request.execution_timeout.map(HumanDuration) else { return Ok(limits) };
    if asked > limits.wall_max {
        let message = format!("execution_timeout is {asked}; at most {} may be asked for", limits.wall_max);
        return Err(Reply::error(Reason::BadTimeout, message));
    }
    Ok(Limits { wall: asked, ..limits })
}

fn find<'a>(request: &JobRequest, deployed: &'a [PinnedVersion]) -> Result<&'a PinnedVersion, Reply> {
    deployed.iter().find(|known| known.version == request.version).ok_or_else(|| {
        let names: Vec<&str> = deployed.iter().map(|known| known.version.as_str()).take(MAX_NAMED).collect();
        let those = match deployed.len() {
            0 => "none is".to_owned(),
            count if count > MAX_NAMED => format!("{} and {} more are", names.join(", "), count - MAX_NAMED),
            _ => format!("deployed: {}", names.join(", ")),
        };
        let Place { channel, track } = &request.place;
        let message = format!("{} is not deployed for {track} in {channel}; {those}", request.version);
        Reply::error(Reason::NotDeployed, message)
    })
}
