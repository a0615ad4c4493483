//! From a build request to what the dispatcher takes.

use trackyard_protocol::build::BuildLimits;
use trackyard_protocol::channel::Channel;
use trackyard_protocol::quantity::HumanDuration;
use trackyard_protocol::reason::Reason;
use trackyard_protocol::request::{BuildRequest, Place};
use trackyard_protocol::token::JobKey;

use super::key;
use super::reply::Reply;
use crate::config::Config;
use crate::dispatch::{NewJob, Order};

/// A build for the dispatcher, or why there is none. Its track need not be known: building comes before deploying.
pub(super) fn new(request: BuildRequest, bytes: usize, config: &Config) -> Result<NewJob, Reply> {
    let limits = limits(&request, config.builds)?;
    let source = source(&request.place, config)?;
    let key = key::of_build(&request, &source);
    let place = Place { channel: Channel::Builders, track: request.place.track.clone() };
    Ok(NewJob { order: Order::Build { request, place, source, limits }, key, bytes })
}

/// The key of a build.
pub(super) fn key(request: &BuildRequest, config: &Config) -> Result<JobKey, Reply> {
    Ok(key::of_build(request, &source(&request.place, config)?))
}

fn limits(request: &BuildRequest, limits: BuildLimits) -> Result<BuildLimits, Reply> {
    let Some(asked) = request.execution_timeout.map(HumanDuration) else { return Ok(limits) };
    if asked > limits.wall_max {
        let message =
            format!("execution_timeout is {asked}; at most {} may be asked for a build", limits.wall_max);
        return Err(Reply::error(Reason::BadTimeout, message));
    }
    Ok(BuildLimits { wall: asked, ..limits })
}

fn source(place: &Place, config: &Config) -> Result<String, Reply> {
    let refused = |message: &str| Reply::error(Reason::NoWorker, message);
    let source = config.source.as_ref();
    let source =
        source.ok_or_else(|| refused("the router's configuration has no source.url to build from"))?;
    let repository = config.images.repository(place.channel, &place.track);
    let repository = repository
        .ok_or_else(|| refused("the router's configuration has no images.repositories for this channel"))?;
    Ok(source.repository(&repository))
}
