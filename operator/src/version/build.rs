//! Derives the build that a version needs, and the `Built` condition from its stage: pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use trackyard_crds::ContainerVersion;
use trackyard_crds::container_version::ContainerVersionStatus;

use crate::builds::{BuildSpec, BuildStage};
use trackyard_crds::condition::ConditionUpdate;

/// A changed value of this annotation retries a failed build.
const REBUILD_ANNOTATION: &str = "trackyard.dev/rebuild";
const NO_ROUTER_MESSAGE: &str = "cannot build: the operator runs without --router-keyed and --keys; set them, or build \
    it with `trackyard build` and set spec.version";

/// The part of the status that reports the build.
pub(super) struct BuildReport {
    /// The container version, once it is built; never withdrawn.
    pub(super) version: Option<String>,
    /// The value of the annotation of the build that ended last.
    pub(super) rebuild: Option<String>,
    /// The condition `Built`.
    pub(super) condition: ConditionUpdate,
}

/// Returns the build that a version needs; none if it names an existing image, is built, or has failed for good.
pub(super) fn needed_build(version: &ContainerVersion) -> Option<BuildSpec> {
    let git_reference = version.spec.git_reference.clone()?;
    let status = version.status.clone().unwrap_or_default();
    if status.version.is_some() || has_failed(&status, &attempt(version)) {
        return None;
    }
    Some(BuildSpec {
        uid: version.uid()?,
        attempt: attempt(version),
        channel: version.spec.channel,
        track: version.spec.track.clone(),
        git_reference,
    })
}

/// Returns the report of the build, if the version names a git reference.
pub(super) fn report(
    version: &ContainerVersion,
    stage: Option<&BuildStage>,
    has_router: bool,
) -> Option<BuildReport> {
    let _ = version.spec.git_reference.as_ref()?;
    let status = version.status.clone().unwrap_or_default();
    let attempt = attempt(version);
    if status.version.is_some() {
        return Some(built(status.version, status.rebuild));
    }
    if has_failed(&status, &attempt) {
        let message = built_condition(&status).map(|condition| condition.message.clone());
        return Some(failed(attempt, &message.unwrap_or_default()));
    }
    let (reason, message) = match stage {
        None | Some(BuildStage::Requested) if !has_router => ("RouterNotConfigured", NO_ROUTER_MESSAGE),
        None | Some(BuildStage::Requested) => ("BuildRequested", "the build was requested of the router"),
        Some(BuildStage::Waiting) => ("WaitingForBuilder", "the build waits for a free builder"),
        Some(BuildStage::Running) => ("Building", "a builder runs the build"),
        Some(BuildStage::Postponed { why }) => {
            let message = format!("cannot build now: {why}; the operator tries again");
            return Some(open(status, "Postponed", &message));
        }
        Some(BuildStage::Built { version }) => return Some(built(Some(version.clone()), Some(attempt))),
        Some(BuildStage::Failed { why }) => return Some(failed(attempt, why)),
    };
    Some(open(status, reason, message))
}

/// Returns the value of the annotation that identifies the attempt.
pub(super) fn attempt(version: &ContainerVersion) -> String {
    version.annotations().get(REBUILD_ANNOTATION).cloned().unwrap_or_default()
}

fn built(version: Option<String>, rebuild: Option<String>) -> BuildReport {
    BuildReport { version, rebuild, condition: ConditionUpdate::new(true, "Built") }
}

fn open(status: ContainerVersionStatus, reason: &'static str, message: &str) -> BuildReport {
    let condition = ConditionUpdate::new(false, reason).with_message(message);
    BuildReport { version: None, rebuild: status.rebuild, condition }
}

fn failed(attempt: String, why: &str) -> BuildReport {
    let condition = ConditionUpdate::new(false, "BuildFailed").with_message(why);
    BuildReport { version: None, rebuild: Some(attempt), condition }
}

fn has_failed(status: &ContainerVersionStatus, attempt: &str) -> bool {
    built_condition(status).is_some_and(|condition| condition.reason == "BuildFailed")
        && status.rebuild.as_deref().unwrap_or_default() == attempt
}

fn built_condition(status: &ContainerVersionStatus) -> Option<&Condition> {
    status.conditions.iter().find(|condition| condition.type_ == "Built")
}

#[cfg(test)]
mod tests;
