//! Turns a build request into a job for the dispatcher.

use trackyard_protocol::build::BuildLimits;
use trackyard_protocol::channel::Channel;
use trackyard_protocol::quantity::HumanDuration;
use trackyard_protocol::reason::Reason;
use trackyard_protocol::request::{BuildRequest, Tooling};
use trackyard_protocol::token::JobKey;

use super::key;
use super::reply::Reply;
use crate::config::Config;
use crate::dispatch::{JobSpec, NewJob};

/// Returns a job for the dispatcher, or the error. The track need not exist: a version is built before it is deployed.
pub(super) fn new_build(request: BuildRequest, bytes: usize, config: &Config) -> Result<NewJob, Reply> {
    let limits = limits(&request, config.builds)?;
    let source = source(&request.tooling, config)?;
    let key = key::of_build(&request, &source);
    let tooling = Tooling { channel: Channel::Builders, track: request.tooling.track.clone() };
    Ok(NewJob { spec: JobSpec::Build { request, tooling, source, limits }, key, bytes })
}

/// Returns the key of a build.
pub(super) fn job_key(request: &BuildRequest, config: &Config) -> Result<JobKey, Reply> {
    Ok(key::of_build(request, &source(&request.tooling, config)?))
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

/// Returns the URL of the track's repository.
fn source(tooling: &Tooling, config: &Config) -> Result<String, Reply> {
    let error = |missing: &str| {
        Reply::error(Reason::NoWorker, format!("the router's configuration has no {missing}"))
    };
    let source = config.source.as_ref().ok_or_else(|| error("source.url to build from"))?;
    let repository = config.images.repository(tooling.channel, &tooling.track);
    Ok(source.repository(&repository.ok_or_else(|| error("images.repositories for this channel"))?))
}
