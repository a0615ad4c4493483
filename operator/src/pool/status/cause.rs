//! Finds out why pods are missing or not ready, as a reason and a message that tell the user what to change.

use k8s_openapi::api::apps::v1::{Deployment, DeploymentCondition};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::ResourceExt;

/// Maximum length of a message; the API server accepts more, but nobody reads more.
const MAX_MESSAGE_CHARS: usize = 1024;

/// Whether the problem may resolve itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// It may: a node may be added, an image may be about to be pulled.
    Waiting,
    /// It does not.
    Stuck,
}

/// Why pods are missing or not ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// The reason of the condition.
    pub reason: &'static str,
    /// The message of Kubernetes or of the agent.
    pub message: String,
    /// Whether the problem may resolve itself.
    pub severity: Severity,
}

/// Returns the most severe cause. Of several, one that prevents pods from being created comes first.
pub(in crate::pool) fn find<'a>(
    deployment: Option<&Deployment>,
    pods: impl IntoIterator<Item = &'a Pod>,
) -> Option<Cause> {
    let mut causes: Vec<Cause> = deployment.into_iter().filter_map(replica_failure).collect();
    let living = pods.into_iter().filter(|pod| pod.metadata.deletion_timestamp.is_none());
    causes.extend(living.filter_map(pod_cause));
    let stuck = causes.iter().position(|cause| cause.severity == Severity::Stuck);
    let index = stuck.unwrap_or(0);
    let first = (index < causes.len()).then(|| causes.swap_remove(index));
    match deployment.and_then(deadline_exceeded) {
        // After the deadline, waiting longer does not help.
        Some(deadline) => Some(Cause { severity: Severity::Stuck, ..first.unwrap_or(deadline) }),
        None => first,
    }
}

fn find_condition(
    deployment: &Deployment,
    is_wanted: impl Fn(&DeploymentCondition) -> bool,
) -> Option<&DeploymentCondition> {
    deployment.status.as_ref()?.conditions.as_ref()?.iter().find(|condition| is_wanted(condition))
}

/// Returns a cause if the Deployment has made no progress within its deadline.
fn deadline_exceeded(deployment: &Deployment) -> Option<Cause> {
    const REASON: &str = "ProgressDeadlineExceeded";
    let condition =
        find_condition(deployment, |c| c.type_ == "Progressing" && c.reason.as_deref() == Some(REASON))?;
    Some(cause(REASON, condition.message.as_deref().unwrap_or_default(), Severity::Stuck))
}

/// Returns a cause if the API server rejects the pods.
fn replica_failure(deployment: &Deployment) -> Option<Cause> {
    let condition = find_condition(deployment, |c| c.type_ == "ReplicaFailure" && c.status == "True")?;
    let message = condition.message.as_deref().unwrap_or_default();
    let reason = if message.contains("exceeded quota") {
        "QuotaExceeded"
    } else if message.contains("violates PodSecurity") {
        "PodSecurityForbidden"
    } else {
        "FailedCreate"
    };
    Some(cause(reason, message, Severity::Stuck))
}

fn pod_cause(pod: &Pod) -> Option<Cause> {
    let status = pod.status.as_ref()?;
    let name = pod.name_any();
    let unschedulable = status.conditions.iter().flatten().find(|condition| {
        condition.type_ == "PodScheduled" && condition.reason.as_deref() == Some("Unschedulable")
    });
    if let Some(condition) = unschedulable {
        let message = condition.message.as_deref().unwrap_or_default();
        return Some(cause("Unschedulable", &format!("pod {name}: {message}"), Severity::Waiting));
    }
    status.container_statuses.iter().flatten().find_map(|container| container_cause(&name, container))
}

fn container_cause(pod: &str, container: &ContainerStatus) -> Option<Cause> {
    let waiting = container.state.as_ref()?.waiting.as_ref()?;
    let message = waiting.message.clone().unwrap_or_default();
    let (reason, message) = match waiting.reason.as_deref()? {
        "ErrImagePull" | "ImagePullBackOff" | "InvalidImageName" | "ErrImageNeverPull" => {
            ("ImageUnavailable", message)
        }
        "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => {
            ("ContainerStartFailed", message)
        }
        "CrashLoopBackOff" => ("AgentCrashed", last_message(container)),
        _ => return None,
    };
    Some(cause(reason, &format!("pod {pod}: {message}"), Severity::Stuck))
}

/// Returns the end of the crashed agent's log, or its exit code if the log is empty.
fn last_message(container: &ContainerStatus) -> String {
    let last = container.last_state.as_ref().and_then(|state| state.terminated.as_ref());
    match last {
        None => "the agent crashes again and again".to_owned(),
        Some(last) => match last.message.as_deref().map(str::trim) {
            Some(message) if !message.is_empty() => message.to_owned(),
            _ => format!("the agent exited with code {}", last.exit_code),
        },
    }
}

fn cause(reason: &'static str, message: &str, severity: Severity) -> Cause {
    Cause { reason, message: message.chars().take(MAX_MESSAGE_CHARS).collect(), severity }
}
