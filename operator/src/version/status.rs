//! What the operator says of a version: pure. The router says the rest: the digest, and whether it is deployed.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use serde::Serialize;
use trackyard_crds::ContainerVersion;
use trackyard_crds::container_version::{ContainerVersionStatus, Failure, Workers};
use trackyard_protocol::pools::{Report, VersionState};

use super::built::Built;
use crate::condition::Told;

/// The part of the status that is the operator's.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Status {
    /// Of what was built; that which the spec names is the router's to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rebuild: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    workers: Option<Workers>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failures: Vec<Failure>,
    #[serde(skip_serializing_if = "Option::is_none")]
    observed_generation: Option<i64>,
    pub(super) conditions: Vec<Condition>,
}

/// The status to write; none if it says so already, or nothing is known.
pub(super) fn status(
    version: &ContainerVersion,
    built: Option<Built>,
    report: Option<&Report>,
    now: &Time,
) -> Option<Status> {
    let before = version.status.clone().unwrap_or_default();
    let state = report.map(|report| find(version, report));
    let condition =
        |kind, told: Told| told.condition(kind, version.metadata.generation, &before.conditions, now);
    let ready = match (said(&before, "Ready"), state) {
        // Without figures what was true stays; of a new version the least is said.
        (Some(ready), None) => ready.clone(),
        (None, None) => condition("Ready", no("NoFigures", "the router tells nothing now")),
        (ready, Some(state)) => condition("Ready", told(version, built.as_ref(), ready, state)),
    };
    let mut status = match state {
        Some(state) => counted(state),
        None => Status { workers: before.workers, failures: before.failures.clone(), ..Status::default() },
    };
    status.observed_generation = version.metadata.generation;
    if let Some(built) = built {
        (status.version, status.rebuild) = (built.version, built.rebuild);
        status.conditions.push(condition("Built", built.told));
    }
    status.conditions.push(ready);
    (!is_said(&status, version, &before)).then_some(status)
}

fn counted(state: Option<&VersionState>) -> Status {
    let count = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
    let failures = state.map(|state| state.failures.as_slice()).unwrap_or_default().iter();
    Status {
        workers: state.map(|state| Workers { ready: count(state.ready), total: count(state.workers) }),
        failures: failures
            .map(|failure| Failure {
                reason: failure.reason.clone(),
                message: failure.message.clone(),
                workers: count(failure.workers),
            })
            .collect(),
        ..Status::default()
    }
}

fn said<'a>(before: &'a ContainerVersionStatus, kind: &str) -> Option<&'a Condition> {
    before.conditions.iter().find(|condition| condition.type_ == kind)
}

fn is_said(status: &Status, version: &ContainerVersion, before: &ContainerVersionStatus) -> bool {
    let is_ours = version.spec.git_reference.is_some();
    status.workers == before.workers
        && status.failures == before.failures
        && status.observed_generation == before.observed_generation
        && (!is_ours || status.version == before.version)
        && status.rebuild == before.rebuild
        && status.conditions.iter().all(|condition| said(before, &condition.type_) == Some(condition))
}

fn find<'a>(version: &ContainerVersion, report: &'a Report) -> Option<&'a VersionState> {
    let status = version.status.as_ref()?;
    let digest = status.digest.as_deref()?;
    let name = version.spec.version.as_deref().or(status.version.as_deref())?;
    let channel = version.spec.channel;
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
fn told(
    version: &ContainerVersion,
    built: Option<&Built>,
    before: Option<&Condition>,
    state: Option<&VersionState>,
) -> Told {
    let latched = before.is_some_and(|before| {
        before.status == "True" && before.observed_generation == version.metadata.generation
    });
    match state {
        Some(state) if state.ready == state.workers && state.workers > 0 => Told::yes("AllPrepared"),
        _ if latched => Told::yes("AllPrepared"),
        Some(state) if state.workers == 0 => Told::yes("NoWorkers"),
        Some(state) => preparing(state),
        None => not_deployed(version, built),
    }
}

fn preparing(state: &VersionState) -> Told {
    let have = format!("{} of {} workers have it", state.ready, state.workers);
    match state.failures.first() {
        Some(failure) => no("Failed", format!("{have}; {}: {}", failure.reason, failure.message)),
        None => no("Preparing", have),
    }
}

fn not_deployed(version: &ContainerVersion, built: Option<&Built>) -> Told {
    if let Some(built) = built.filter(|built| built.version.is_none()) {
        return no("NotBuilt", built.told.message());
    }
    let conditions = version.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let deployed = conditions.iter().find(|condition| condition.type_ == "Deployed");
    match deployed {
        Some(deployed) if deployed.status == "False" => no("NotDeployed", &deployed.message),
        Some(_) => no("Preparing", "the router has just deployed it"),
        None => no("NotDeployed", "the router has not looked it up yet"),
    }
}

#[cfg(test)]
mod tests;
