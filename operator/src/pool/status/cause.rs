//! Why pods are not there or not ready, in one word and one line: what a user of the pool must change.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::ResourceExt;

/// Characters of a message: the API server takes more, nobody reads more.
const MAX_MESSAGE: usize = 1024;

/// Whether time alone may help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// It may: a node may come, an image may be on its way.
    Waiting,
    /// It does not.
    Stuck,
}

/// Why pods are not ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// One word, as a condition's reason.
    pub reason: &'static str,
    /// What Kubernetes, or the agent itself, says.
    pub message: String,
    /// Whether time alone may help.
    pub severity: Severity,
}

/// The gravest cause; that of pods that cannot even be made comes first.
pub(in crate::pool) fn of<'a>(
    deployment: Option<&Deployment>,
    pods: impl IntoIterator<Item = &'a Pod>,
) -> Option<Cause> {
    let mut causes: Vec<Cause> = deployment.into_iter().filter_map(refused).collect();
    let living = pods.into_iter().filter(|pod| pod.metadata.deletion_timestamp.is_none());
    causes.extend(living.filter_map(of_pod));
    let stuck = causes.iter().position(|cause| cause.severity == Severity::Stuck);
    let first = stuck.unwrap_or(0);
    let first = (first < causes.len()).then(|| causes.swap_remove(first));
    match deployment.and_then(late) {
        // What has been waited for long enough will not come by itself.
        Some(late) => Some(Cause { severity: Severity::Stuck, ..first.unwrap_or(late) }),
        None => first,
    }
}

/// A change that has made no progress for longer than a Deployment waits.
fn late(deployment: &Deployment) -> Option<Cause> {
    let conditions = deployment.status.as_ref()?.conditions.as_ref()?;
    let is_late = |reason: &Option<String>| reason.as_deref() == Some("ProgressDeadlineExceeded");
    let late = conditions.iter().find(|c| c.type_ == "Progressing" && is_late(&c.reason))?;
    let message = late.message.as_deref().unwrap_or_default();
    Some(cause("ProgressDeadlineExceeded", message, Severity::Stuck))
}

/// Pods that the API server does not take.
fn refused(deployment: &Deployment) -> Option<Cause> {
    let conditions = deployment.status.as_ref()?.conditions.as_ref()?;
    let failure = conditions.iter().find(|c| c.type_ == "ReplicaFailure" && c.status == "True")?;
    let message = failure.message.clone().unwrap_or_default();
    let reason = if message.contains("exceeded quota") {
        "QuotaExceeded"
    } else if message.contains("violates PodSecurity") {
        "PodSecurityForbidden"
    } else {
        "PodsRefused"
    };
    Some(cause(reason, &message, Severity::Stuck))
}

fn of_pod(pod: &Pod) -> Option<Cause> {
    let status = pod.status.as_ref()?;
    let name = pod.name_any();
    let unschedulable = status.conditions.iter().flatten().find(|condition| {
        condition.type_ == "PodScheduled" && condition.reason.as_deref() == Some("Unschedulable")
    });
    if let Some(condition) = unschedulable {
        let said = condition.message.as_deref().unwrap_or_default();
        return Some(cause("Unschedulable", &format!("pod {name}: {said}"), Severity::Waiting));
    }
    status.container_statuses.iter().flatten().find_map(|container| of_container(&name, container))
}

fn of_container(pod: &str, container: &ContainerStatus) -> Option<Cause> {
    let waiting = container.state.as_ref()?.waiting.as_ref()?;
    let said = waiting.message.as_deref().unwrap_or_default();
    let of = |reason, said: &str| Some(cause(reason, &format!("pod {pod}: {said}"), Severity::Stuck));
    match waiting.reason.as_deref()? {
        "ErrImagePull" | "ImagePullBackOff" | "InvalidImageName" | "ErrImageNeverPull" => {
            of("ImageUnavailable", said)
        }
        "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => {
            of("ContainerRefused", said)
        }
        "CrashLoopBackOff" => of("AgentEnds", &ended(container)),
        _ => None,
    }
}

/// The agent's own last words, else how it ended.
fn ended(container: &ContainerStatus) -> String {
    let last = container.last_state.as_ref().and_then(|state| state.terminated.as_ref());
    match last {
        None => "the agent ends again and again".to_owned(),
        Some(last) => match last.message.as_deref() {
            Some(words) if !words.trim().is_empty() => words.trim().to_owned(),
            _ => format!("the agent ended with exit code {}", last.exit_code),
        },
    }
}

fn cause(reason: &'static str, message: &str, severity: Severity) -> Cause {
    Cause { reason, message: message.chars().take(MAX_MESSAGE).collect(), severity }
}
