//! Turns a job request into a job for the dispatcher.

use trackyard_protocol::limits::Limits;
use trackyard_protocol::quantity::HumanDuration;
use trackyard_protocol::reason::Reason;
use trackyard_protocol::request::{JobRequest, Tooling};
use trackyard_protocol::version::PinnedVersion;

use super::reply::Reply;
use super::{RequestContext, key};
use crate::config::Config;
use crate::deployed::Deployed;
use crate::dispatch::{JobSpec, NewJob};

/// Maximum number of versions that an error message names.
const MAX_NAMED_VERSIONS: usize = 20;

/// Returns a job for the dispatcher, or the error: 502, 400, 505 or 503.
pub(super) fn new_job(
    request: JobRequest,
    bytes: usize,
    context: &RequestContext<'_>,
) -> Result<NewJob, Reply> {
    let config = context.config;
    let or_loading = |reply: Reply| if config.cluster.is_loading { versions_loading() } else { reply };
    let deployed = known_track(&config.container_versions, &request.tooling).map_err(or_loading)?;
    let limits = limits(&request, config)?;
    let version = find(&request, deployed).map_err(or_loading)?.clone();
    if version.digest.is_none() {
        let message = format!("{version} is deployed, but its image could not be looked up yet");
        return Err(Reply::error(Reason::StoreUnavailable, message));
    }
    let key = key::of_job(&request, &version, context.caller);
    Ok(NewJob { spec: JobSpec::Run { request, version, limits }, key, bytes })
}

/// Returns the error for a version that may exist, while only the versions that workers report are known.
pub(super) fn versions_loading() -> Reply {
    let message = "the cluster has not listed its deployed versions yet; send this again";
    Reply::error(Reason::StoreUnavailable, message)
}

/// Returns the versions of a track, or the error 502.
pub(super) fn known_track<'a>(
    deployed: &'a Deployed,
    tooling: &Tooling,
) -> Result<&'a [PinnedVersion], Reply> {
    deployed.of(tooling).ok_or_else(|| {
        let message = format!("{} has no track {}: deploy its first version", tooling.channel, tooling.track);
        Reply::error(Reason::UnknownTrack, message)
    })
}

fn limits(request: &JobRequest, config: &Config) -> Result<Limits, Reply> {
    let own = config.cluster.limits.get(&(request.tooling.clone(), request.version.clone()));
    let limits =
        own.cloned().unwrap_or_else(|| config.limits.of(request.tooling.channel, &request.tooling.track));
    let Some(asked) = request.execution_timeout.map(HumanDuration) else { return Ok(limits) };
    if asked > limits.wall_max {
        let message = format!("execution_timeout is {asked}; at most {} may be asked for", limits.wall_max);
        return Err(Reply::error(Reason::BadTimeout, message));
    }
    Ok(Limits { wall: asked, ..limits })
}

fn find<'a>(request: &JobRequest, deployed: &'a [PinnedVersion]) -> Result<&'a PinnedVersion, Reply> {
    deployed.iter().find(|known| known.version == request.version).ok_or_else(|| {
        let names: Vec<&str> =
            deployed.iter().map(|known| known.version.as_str()).take(MAX_NAMED_VERSIONS).collect();
        let deployed = match deployed.len() {
            0 => "no version is".to_owned(),
            count if count > MAX_NAMED_VERSIONS => {
                format!("{} and {} more are", names.join(", "), count - MAX_NAMED_VERSIONS)
            }
            _ => format!("deployed: {}", names.join(", ")),
        };
        let Tooling { channel, track } = &request.tooling;
        let message = format!("{} is not deployed for {track} in {channel}; {deployed}", request.version);
        Reply::error(Reason::NotDeployed, message)
    })
}
