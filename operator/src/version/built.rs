//! What is said of a version that is to be built, and whether its build is to be ordered: pure.

use trackyard_crds::ContainerVersion;
use trackyard_crds::container_version::ContainerVersionStatus;

use crate::builds::{Order, Progress};
use crate::condition::Told;

use kube::ResourceExt;

/// Another value than before lets a build that failed be tried again.
const REBUILD: &str = "trackyard.dev/rebuild";

/// What the status says of a build.
pub(super) struct Built {
    /// The container version, once it is built: it stays.
    pub(super) version: Option<String>,
    /// The value of the annotation of the build that ended last.
    pub(super) rebuild: Option<String>,
    /// Whether it is built.
    pub(super) told: Told,
}

/// The build that a version asks for; none if it names an image that is there, or is built, or has failed for good.
pub(super) fn order(version: &ContainerVersion) -> Option<Order> {
    let git_reference = version.spec.git_reference.clone()?;
    let status = version.status.clone().unwrap_or_default();
    if status.version.is_some() || has_failed(&status, &attempt(version)) {
        return None;
    }
    Some(Order {
        uid: version.uid()?,
        attempt: attempt(version),
        channel: version.spec.channel,
        track: version.spec.track.clone(),
        git_reference,
    })
}

/// What to say of the build, if the version asks for one.
pub(super) fn built(
    version: &ContainerVersion,
    progress: Option<&Progress>,
    can_be_ordered: bool,
) -> Option<Built> {
    let _ = version.spec.git_reference.as_ref()?;
    let status = version.status.clone().unwrap_or_default();
    let attempt = attempt(version);
    if status.version.is_some() {
        return Some(Built { version: status.version, rebuild: status.rebuild, told: Told::yes("Built") });
    }
    if has_failed(&status, &attempt) {
        let message =
            status.conditions.iter().find(|told| told.type_ == "Built").map(|told| told.message.clone());
        return Some(failed(&attempt, &message.unwrap_or_default()));
    }
    let waits = |told| Built { version: None, rebuild: status.rebuild.clone(), told };
    Some(match progress {
        None | Some(Progress::Asked) if !can_be_ordered => waits(Told::of(false, "NoRouter", NO_ROUTER)),
        None | Some(Progress::Asked) => waits(Told::no("Asked").saying("the router is asked to build it")),
        Some(Progress::Waiting) => waits(Told::no("WaitingForBuilder").saying("it waits for a builder")),
        Some(Progress::Running) => waits(Told::no("Building").saying("a builder has it in hand")),
        Some(Progress::Postponed { why }) => {
            waits(Told::of(false, "Postponed", &format!("it is asked for again; {why}")))
        }
        Some(Progress::Built { version }) => {
            Built { version: Some(version.clone()), rebuild: Some(attempt), told: Told::yes("Built") }
        }
        Some(Progress::Failed { why }) => failed(&attempt, why),
    })
}

const NO_ROUTER: &str = "this operator has no port of keyed clients to ask for builds (--router-keyed, --keys); \
    build it with `trackyard build`, then name the version";

/// The word of the build that is wanted.
pub(super) fn attempt(version: &ContainerVersion) -> String {
    version.annotations().get(REBUILD).cloned().unwrap_or_default()
}

fn failed(attempt: &str, why: &str) -> Built {
    Built { version: None, rebuild: Some(attempt.to_owned()), told: Told::of(false, "BuildFailed", why) }
}

fn has_failed(status: &ContainerVersionStatus, attempt: &str) -> bool {
    let told = status.conditions.iter().find(|told| told.type_ == "Built");
    told.is_some_and(|told| told.reason == "BuildFailed")
        && status.rebuild.as_deref().unwrap_or_default() == attempt
}

#[cfg(test)]
mod tests;
