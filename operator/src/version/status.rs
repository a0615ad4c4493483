//! Derives the operator's part of a version's status: pure. The router writes the rest: the digest, and whether the version is
//! deployed.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use serde::Serialize;
use trackyard_crds::ContainerVersion;
use trackyard_crds::container_version::{ContainerVersionStatus, Failure, Workers};
use trackyard_protocol::load_report::{LoadReport, VersionState};

use super::build::BuildReport;
use trackyard_crds::condition::ConditionUpdate;

/// The operator's part of the status.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OperatorStatus {
    /// Set for versions that were built; of other versions the router writes it.
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

/// Returns the status to write; none if it has not changed.
pub(super) fn status(
    version: &ContainerVersion,
    build: Option<BuildReport>,
    load: Option<&LoadReport>,
    now: &Time,
) -> Option<OperatorStatus> {
    let before = version.status.clone().unwrap_or_default();
    let to_condition = |kind, update: ConditionUpdate| {
        update.into_condition(kind, version.metadata.generation, &before.conditions, now)
    };
    let (ready, mut status) = match (load, find_condition(&before, "Ready")) {
        (Some(load), last) => {
            let state = find_state(version, load);
            let update = readiness(version, build.as_ref(), last, state);
            (to_condition("Ready", update), worker_counts(state))
        }
        // Without a load report, the last known state stays.
        (None, Some(last)) => (last.clone(), last_worker_counts(&before)),
        (None, None) => (to_condition("Ready", router_unreachable()), last_worker_counts(&before)),
    };
    status.observed_generation = version.metadata.generation;
    if let Some(build) = build {
        status.version = build.version;
        status.rebuild = build.rebuild;
        status.conditions.push(to_condition("Built", build.condition));
    }
    status.conditions.push(ready);
    has_changed(&status, version, &before).then_some(status)
}

fn worker_counts(state: Option<&VersionState>) -> OperatorStatus {
    let Some(state) = state else { return OperatorStatus::default() };
    let count = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
    let failures = state.failures.iter().map(|failure| Failure {
        reason: failure.reason.clone(),
        message: failure.message.clone(),
        workers: count(failure.workers),
    });
    OperatorStatus {
        workers: Some(Workers { ready: count(state.ready), total: count(state.workers) }),
        failures: failures.collect(),
        ..OperatorStatus::default()
    }
}

fn last_worker_counts(before: &ContainerVersionStatus) -> OperatorStatus {
    OperatorStatus { workers: before.workers, failures: before.failures.clone(), ..OperatorStatus::default() }
}

fn find_condition<'a>(status: &'a ContainerVersionStatus, kind: &str) -> Option<&'a Condition> {
    status.conditions.iter().find(|condition| condition.type_ == kind)
}

fn has_changed(status: &OperatorStatus, version: &ContainerVersion, before: &ContainerVersionStatus) -> bool {
    let is_built = version.spec.git_reference.is_some();
    status.workers != before.workers
        || status.failures != before.failures
        || status.observed_generation != before.observed_generation
        || (is_built && status.version != before.version)
        || status.rebuild != before.rebuild
        || status
            .conditions
            .iter()
            .any(|condition| find_condition(before, &condition.type_) != Some(condition))
}

/// Finds the version in the load report, by its digest.
fn find_state<'a>(version: &ContainerVersion, load: &'a LoadReport) -> Option<&'a VersionState> {
    let status = version.status.as_ref()?;
    let digest = status.digest.as_deref()?;
    let name = version.spec.version.as_deref().or(status.version.as_deref())?;
    load.versions.iter().find(|state| {
        state.channel == version.spec.channel
            && state.track.as_str() == version.spec.track
            && state.version.version.as_str() == name
            && state.version.digest.as_ref().is_some_and(|found| found.as_str() == digest)
    })
}

fn not_ready(reason: &'static str, message: impl Into<String>) -> ConditionUpdate {
    ConditionUpdate::new(false, reason).with_message(message)
}

fn router_unreachable() -> ConditionUpdate {
    not_ready("RouterUnreachable", "the operator has no recent load report from the router")
}

/// Returns the condition `Ready`. A version that was ready stays ready: a worker that fails or has just joined does not prevent
/// the others from running it.
fn readiness(
    version: &ContainerVersion,
    build: Option<&BuildReport>,
    last: Option<&Condition>,
    state: Option<&VersionState>,
) -> ConditionUpdate {
    let was_ready = last
        .is_some_and(|last| last.status == "True" && last.observed_generation == version.metadata.generation);
    match state {
        Some(state) if state.ready == state.workers && state.workers > 0 => {
            ConditionUpdate::new(true, "AllWorkersReady")
        }
        _ if was_ready => ConditionUpdate::new(true, "AllWorkersReady"),
        Some(state) if state.workers == 0 => ConditionUpdate::new(true, "NoWorkers"),
        Some(state) => preparing(state),
        None => not_deployed(version, build),
    }
}

fn preparing(state: &VersionState) -> ConditionUpdate {
    let progress = format!("{} of {} workers have this version", state.ready, state.workers);
    match state.failures.first() {
        Some(failure) => {
            not_ready("PrepareFailed", format!("{progress}; {}: {}", failure.reason, failure.message))
        }
        None => not_ready("Preparing", progress),
    }
}

fn not_deployed(version: &ContainerVersion, build: Option<&BuildReport>) -> ConditionUpdate {
    if let Some(build) = build.filter(|build| build.version.is_none()) {
        return not_ready("NotBuilt", build.condition.message());
    }
    match version.status.as_ref().and_then(|status| find_condition(status, "Deployed")) {
        Some(deployed) if deployed.status == "False" => not_ready("NotDeployed", &deployed.message),
        Some(_) => not_ready("Preparing", "the router has just deployed this version"),
        None => not_ready("NotDeployed", "the router has not looked up this version yet"),
    }
}

#[cfg(test)]
mod tests;
