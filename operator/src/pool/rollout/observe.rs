//! Derives the rollout state of a pool from its Deployment and its pods: pure.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, PodSpec};
use trackyard_crds::WorkerPool;

use super::decide::RolloutState;
use crate::paused::is_paused;
use crate::pool::build::AGENT_CONTAINER;
use crate::pool::status::{Severity, cause};
use crate::pool::validate::is_owned;

/// Returns the state of a pool. Returns none if the pool takes no part in the rollout: it has an image of its own, is paused or
/// being deleted, or has no Deployment yet.
pub(super) fn state(
    pool: &WorkerPool,
    deployment: Option<&Deployment>,
    pods: &[&Pod],
    default: &str,
) -> Option<RolloutState> {
    if pool.spec.image.is_some() || is_paused(pool) || pool.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let deployment = deployment.filter(|deployment| is_owned(pool, *deployment))?;
    let spec = deployment.spec.as_ref()?;
    let has_default = image_of(spec.template.spec.as_ref())? == default;
    let has_pods = spec.replicas != Some(0);
    Some(match (has_default, has_pods) {
        (true, false) => RolloutState::Updated,
        (true, true) => state_with_default(deployment, pods, default),
        (false, false) => RolloutState::WithoutPods,
        (false, true) => RolloutState::Outdated { is_settled: is_settled(deployment) },
    })
}

fn state_with_default(deployment: &Deployment, pods: &[&Pod], default: &str) -> RolloutState {
    let updated = || pods.iter().copied().filter(|pod| image_of(pod.spec.as_ref()) == Some(default));
    let stuck = cause::find(Some(deployment), updated()).filter(|cause| cause.severity == Severity::Stuck);
    match stuck {
        Some(cause) => RolloutState::Stalled(cause.reason),
        // Between two crashes an agent looks like one that starts.
        None if updated().any(has_crashed) => RolloutState::Stalled("AgentCrashed"),
        None if is_settled(deployment) => RolloutState::Updated,
        None => RolloutState::Rolling,
    }
}

/// Returns the agent's image.
fn image_of(pod: Option<&PodSpec>) -> Option<&str> {
    pod?.containers.iter().find(|container| container.name == AGENT_CONTAINER)?.image.as_deref()
}

/// Returns whether the pod's agent has exited by itself and is not ready again. A pod that has ended as a whole, such as an
/// evicted one, does not count: another replaces it.
fn has_crashed(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    let has_ended = matches!(phase, Some("Failed" | "Succeeded"));
    let containers = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    pod.metadata.deletion_timestamp.is_none()
        && !has_ended
        && containers.into_iter().any(|agent| agent.restart_count > 0 && !agent.ready)
}

/// Returns whether all pods of the Deployment's newest revision became ready once and no older pod is left. A change of the number
/// of pods does not matter.
fn is_settled(deployment: &Deployment) -> bool {
    let Some(status) = &deployment.status else { return false };
    let conditions = status.conditions.iter().flatten();
    let is_available = conditions.into_iter().any(|condition| {
        condition.type_ == "Progressing" && condition.reason.as_deref() == Some("NewReplicaSetAvailable")
    });
    is_available
        && status.observed_generation == deployment.metadata.generation
        && status.updated_replicas.unwrap_or(0) == status.replicas.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::{Value, json};

    const OUTDATED: RolloutState = RolloutState::Outdated { is_settled: true };

    fn pool(spec: &Value, metadata: &Value) -> WorkerPool {
        let mut whole = json!({
            "apiVersion": "trackyard.dev/v1alpha1", "kind": "WorkerPool",
            "metadata": {"name": "ruby", "uid": "own"}, "spec": {"channel": "test_runners", "topics": ["ruby"]}
        });
        for (part, more) in [("spec", spec), ("metadata", metadata)] {
            whole[part].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        }
        serde_json::from_value(whole).unwrap()
    }

    fn containers(image: &str) -> Value {
        json!({"containers": [{"name": "agent", "image": image}]})
    }

    /// Returns a Deployment whose two pods became ready; `change` replaces parts of its status.
    fn deployment(image: &str, replicas: i32, change: &Value) -> Deployment {
        let progressing =
            json!({"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"});
        let mut status = json!({
            "observedGeneration": 7, "replicas": 2, "updatedReplicas": 2, "conditions": [progressing]
        });
        status.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let owner = json!({"apiVersion": "a", "kind": "WorkerPool", "name": "ruby", "uid": "own", "controller": true});
        serde_json::from_value(json!({
            "metadata": {"generation": 7, "ownerReferences": [owner]},
            "spec": {"replicas": replicas, "selector": {}, "template": {"spec": containers(image)}},
            "status": status
        }))
        .unwrap()
    }

    fn pod(image: &str, agent: &Value) -> Pod {
        let mut status =
            json!({"name": "agent", "image": image, "imageID": "", "ready": false, "restartCount": 0});
        status.as_object_mut().unwrap().extend(agent.as_object().unwrap().clone());
        serde_json::from_value(json!({
            "metadata": {"name": "ruby-1"}, "spec": containers(image), "status": {"containerStatuses": [status]}
        }))
        .unwrap()
    }

    fn observe(deployment: &Deployment, pods: &[Pod]) -> Option<RolloutState> {
        let pods: Vec<&Pod> = pods.iter().collect();
        state(&pool(&json!({}), &json!({})), Some(deployment), &pods, "new")
    }

    #[rstest]
    #[case::other_image("old", 2, json!({}), OUTDATED)]
    #[case::other_image_amid_a_change("old", 2, json!({"updatedReplicas": 1}), RolloutState::Outdated { is_settled: false })]
    #[case::other_image_without_pods("old", 0, json!({}), RolloutState::WithoutPods)]
    #[case::updated("new", 2, json!({}), RolloutState::Updated)]
    #[case::updated_and_growing("new", 5, json!({"replicas": 4, "updatedReplicas": 4, "readyReplicas": 2}), RolloutState::Updated)]
    #[case::not_observed_yet("new", 2, json!({"observedGeneration": 6}), RolloutState::Rolling)]
    #[case::no_condition("new", 2, json!({"conditions": []}), RolloutState::Rolling)]
    #[case::old_pods_left("new", 2, json!({"updatedReplicas": 1}), RolloutState::Rolling)]
    #[case::deadline_exceeded(
        "new", 2,
        json!({"conditions": [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]}),
        RolloutState::Stalled("ProgressDeadlineExceeded")
    )]
    #[case::pods_rejected(
        "new", 2, json!({"conditions": [{"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}]}),
        RolloutState::Stalled("QuotaExceeded")
    )]
    fn deployment_determines_state(
        #[case] image: &str,
        #[case] replicas: i32,
        #[case] change: Value,
        #[case] expected: RolloutState,
    ) {
        assert_eq!(observe(&deployment(image, replicas, &change), &[]), Some(expected));
    }

    #[rstest]
    #[case::starting(json!({}), RolloutState::Rolling)]
    #[case::image_unavailable(
        json!({"state": {"waiting": {"reason": "ErrImagePull"}}}), RolloutState::Stalled("ImageUnavailable")
    )]
    #[case::between_two_crashes(json!({"restartCount": 1}), RolloutState::Stalled("AgentCrashed"))]
    #[case::crashed_and_ready_again(json!({"restartCount": 1, "ready": true}), RolloutState::Rolling)]
    fn pod_with_default_image_determines_state(#[case] agent: Value, #[case] expected: RolloutState) {
        let amid = deployment("new", 2, &json!({"updatedReplicas": 1}));
        assert_eq!(observe(&amid, &[pod("new", &agent)]), Some(expected));
        assert_eq!(
            observe(&amid, &[pod("old", &agent)]),
            Some(RolloutState::Rolling),
            "pods of another image do not count"
        );
    }

    #[rstest]
    #[case::own_image(json!({"image": "x"}), json!({}))]
    #[case::paused(json!({}), json!({"annotations": {"trackyard.dev/reconcile": "disabled"}}))]
    #[case::deleted(json!({}), json!({"deletionTimestamp": "2026-01-01T00:00:00Z"}))]
    #[case::other_owner(json!({}), json!({"uid": "another"}))]
    fn excluded_pool_has_no_state(#[case] spec: Value, #[case] metadata: Value) {
        let old = deployment("old", 2, &json!({}));
        assert_eq!(state(&pool(&spec, &metadata), Some(&old), &[], "new"), None);
    }

    #[test]
    fn pool_without_deployment_has_no_state() {
        assert_eq!(state(&pool(&json!({}), &json!({})), None, &[], "new"), None);
    }
}
