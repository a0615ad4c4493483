//! What the operator says of a version: pure. The router says the rest: the digest, and whether it is deployed.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use serde::Serialize;
use trackyard_crds::ContainerVersion;
use trackyard_crds::container_version::{Failure, Workers};
use trackyard_protocol::pools::{Report, VersionState};

use crate::condition::Told;

/// The part of the status that is the operator's.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Status {
    #[serde(skip_serializing_if = "Option::is_none")]
    workers: Option<Workers>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failures: Vec<Failure>,
    #[serde(skip_serializing_if = "Option::is_none")]
    observed_generation: Option<i64>,
    pub(super) conditions: Vec<Condition>,
}

/// The status to write; none if it says so already, or nothing is known.
pub(super) fn status(version: &ContainerVersion, report: Option<&Report>, now: &Time) -> Option<Status> {
    let before = version.status.clone().unwrap_or_default();
    let ready = before.conditions.iter().find(|condition| condition.type_ == "Ready");
    let state = report.map(|report| find(version, report));
    let told = match state {
        // Without figures what was true stays; of a new version the least is said.
        None if ready.is_some() => return None,
        None => no("NoFigures", "the router tells nothing now"),
        Some(state) => told(version, ready, state),
    };
    let state = state.flatten();
    let count = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
    let failures = state.map(|state| state.failures.as_slice()).unwrap_or_default().iter();
    let status = Status {
        workers: state.map(|state| Workers { ready: count(state.ready), total: count(state.workers) }),
        failures: failures
            .map(|failure| Failure {
                reason: failure.reason.clone(),
                message: failure.message.clone(),
                workers: count(failure.workers),
            })
            .collect(),
        observed_generation: version.metadata.generation,
        conditions: vec![told.condition("Ready", version.metadata.generation, &before.conditions, now)],
    };
    let same = status.workers == before.workers
        && status.failures == before.failures
        && status.observed_generation == before.observed_generation
        && status.conditions.first() == ready;
    (!same).then_some(status)
}

fn find<'a>(version: &ContainerVersion, report: &'a Report) -> Option<&'a VersionState> {
    let status = version.status.as_ref()?;
    let digest = status.digest.as_deref()?;
    let name = version.spec.version.as_deref().or(status.version.as_deref())?;
    let channel = trackyard_protocol::channel::Channel::from(version.spec.channel);
    report.versions.iter().find(|state| {
        state.channel == channel
            && state.track.as_str() == version.spec.track
            && state.version.version.as_str() == name
            && state.version.digest.as_ref().is_some_and(|found| found.as_str() == digest)
    })
}

fn no(reason: &'static str, message: impl AsRef<str>) -> Told {
    Told::of(false, reason, message.as_ref())
}

/// Once ready, a version stays so: one worker that fails, or a new one that still prepares, takes nothing from others.
fn told(version: &ContainerVersion, before: Option<&Condition>, state: Option<&VersionState>) -> Told {
    let latched = before.is_some_and(|before| {
        before.status == "True" && before.observed_generation == version.metadata.generation
    });
    match state {
        Some(state) if state.ready == state.workers && state.workers > 0 => Told::yes("AllPrepared"),
        _ if latched => Told::yes("AllPrepared"),
        Some(state) if state.workers == 0 => Told::yes("NoWorkers"),
        Some(state) => preparing(state),
        None => not_deployed(version),
    }
}

fn preparing(state: &VersionState) -> Told {
    let have = format!("{} of {} workers have it", state.ready, state.workers);
    match state.failures.first() {
        Some(failure) => no("Failed", format!("{have}; {}: {}", failure.reason, failure.message)),
        None => no("Preparing", have),
    }
}

fn not_deployed(version: &ContainerVersion) -> Told {
    let conditions = version.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let deployed = conditions.iter().find(|condition| condition.type_ == "Deployed");
    match deployed {
        Some(deployed) if deployed.status == "False" => no("NotDeployed", &deployed.message),
        Some(_) => no("Preparing", "the router has just deployed it"),
        None if is_unbuilt(version) => {
            let message =
                "a gitReference is not built by itself yet: `trackyard build`, then name the version";
            no("NotBuilt", message)
        }
        None => no("NotDeployed", "the router has not looked it up yet"),
    }
}

fn is_unbuilt(version: &ContainerVersion) -> bool {
    let built = version.status.as_ref().and_then(|status| status.version.as_ref());
    version.spec.version.is_none() && built.is_none()
}

#[cfg(test)]
mod tests;
