//! Where a pool stands with the default image, from its Deployment and its pods: pure.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, PodSpec};
use trackyard_crds::WorkerPool;

use super::decide::State;
use crate::hands_off::is_hands_off;
use crate::pool::build::AGENT;
use crate::pool::status::{Severity, cause};
use crate::pool::validate::is_owned;

/// Where it stands; none if it is not counted: it has an image of its own, is not to be touched, or has no pods to speak
/// of yet.
pub(super) fn state(
    pool: &WorkerPool,
    deployment: Option<&Deployment>,
    pods: &[&Pod],
    default: &str,
) -> Option<State> {
    let is_apart =
        pool.spec.image.is_some() || is_hands_off(pool) || pool.metadata.deletion_timestamp.is_some();
    let deployment = deployment.filter(|deployment| !is_apart && is_owned(pool, *deployment))?;
    let image = image_of(deployment.spec.as_ref()?.template.spec.as_ref())?;
    let none = deployment.spec.as_ref()?.replicas == Some(0);
    Some(match (image == default, none) {
        (true, true) => State::Arrived,
        (true, false) => with_default(deployment, pods, default),
        (false, true) => State::Idle,
        (false, false) => State::Due { settled: is_settled(deployment) },
    })
}

fn with_default(deployment: &Deployment, pods: &[&Pod], default: &str) -> State {
    let own = || pods.iter().copied().filter(|pod| image_of(pod.spec.as_ref()) == Some(default));
    let stuck = cause::of(Some(deployment), own()).filter(|cause| cause.severity == Severity::Stuck);
    match stuck {
        Some(cause) => State::Stalled(cause.reason),
        // Between two crashes an agent looks as one that starts.
        None if own().any(has_failed) => State::Stalled("AgentEnds"),
        None if is_settled(deployment) => State::Arrived,
        None => State::Rolling,
    }
}

/// The agent's image.
fn image_of(pod: Option<&PodSpec>) -> Option<&str> {
    pod?.containers.iter().find(|container| container.name == AGENT)?.image.as_deref()
}

/// True if its agent has ended by itself, and is not ready again. A pod that is over as a whole, as one that was evicted,
/// has another in its place.
fn has_failed(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    let is_over = matches!(phase, Some("Failed" | "Succeeded"));
    let agents = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    pod.metadata.deletion_timestamp.is_none()
        && !is_over
        && agents.into_iter().any(|agent| agent.restart_count > 0 && !agent.ready)
}

/// True if the Deployment's newest form has had all its pods ready, and no pod of another form is left. That more or
/// fewer pods are asked for does not matter.
fn is_settled(deployment: &Deployment) -> bool {
    let Some(status) = &deployment.status else { return false };
    let conditions = status.conditions.iter().flatten();
    let is_available = conditions.into_iter().any(|condition| {
        condition.type_ == "Progressing" && condition.reason.as_deref() == Some("NewReplicaSetAvailable")
    });
    let count = |count: Option<i32>| count.unwrap_or(0);
    is_available
        && status.observed_generation == deployment.metadata.generation
        && count(status.updated_replicas) == count(status.replicas)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::{Value, json};

    const SETTLED: State = State::Due { settled: true };

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

    /// Two pods that were all ready once; `change` replaces parts of the status.
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

    fn look(deployment: &Deployment, pods: &[Pod]) -> Option<State> {
        let pods: Vec<&Pod> = pods.iter().collect();
        state(&pool(&json!({}), &json!({})), Some(deployment), &pods, "new")
    }

    #[rstest]
    #[case::another("old", 2, json!({}), SETTLED)]
    #[case::another_amid_a_change("old", 2, json!({"updatedReplicas": 1}), State::Due { settled: false })]
    #[case::another_without_pods("old", 0, json!({}), State::Idle)]
    #[case::it_has_it("new", 2, json!({}), State::Arrived)]
    #[case::it_has_it_and_grows("new", 5, json!({"replicas": 4, "updatedReplicas": 4, "readyReplicas": 2}), State::Arrived)]
    #[case::its_controller_has_not_looked("new", 2, json!({"observedGeneration": 6}), State::Rolling)]
    #[case::its_controller_says_nothing("new", 2, json!({"conditions": []}), State::Rolling)]
    #[case::old_pods_are_left("new", 2, json!({"updatedReplicas": 1}), State::Rolling)]
    #[case::it_took_too_long(
        "new", 2,
        json!({"conditions": [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]}),
        State::Stalled("ProgressDeadlineExceeded")
    )]
    #[case::its_pods_are_refused(
        "new", 2, json!({"conditions": [{"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}]}),
        State::Stalled("QuotaExceeded")
    )]
    fn a_deployment_stands(
        #[case] image: &str,
        #[case] replicas: i32,
        #[case] change: Value,
        #[case] expected: State,
    ) {
        assert_eq!(look(&deployment(image, replicas, &change), &[]), Some(expected));
    }

    #[rstest]
    #[case::starts(json!({}), State::Rolling)]
    #[case::is_not_to_be_had(
        json!({"state": {"waiting": {"reason": "ErrImagePull"}}}), State::Stalled("ImageUnavailable")
    )]
    #[case::between_two_crashes(json!({"restartCount": 1}), State::Stalled("AgentEnds"))]
    #[case::once_crashed_and_ready_again(json!({"restartCount": 1, "ready": true}), State::Rolling)]
    fn a_pod_of_the_default_image(#[case] agent: Value, #[case] expected: State) {
        let amid = deployment("new", 2, &json!({"updatedReplicas": 1}));
        assert_eq!(look(&amid, &[pod("new", &agent)]), Some(expected));
        assert_eq!(look(&amid, &[pod("old", &agent)]), Some(State::Rolling), "of another image");
    }

    #[rstest]
    #[case::its_own_image(json!({"image": "x"}), json!({}))]
    #[case::hands_off(json!({}), json!({"annotations": {"trackyard.dev/reconcile": "disabled"}}))]
    #[case::deleted(json!({}), json!({"deletionTimestamp": "2026-01-01T00:00:00Z"}))]
    #[case::another_pools(json!({}), json!({"uid": "another"}))]
    fn who_is_not_counted(#[case] spec: Value, #[case] metadata: Value) {
        let old = deployment("old", 2, &json!({}));
        assert_eq!(state(&pool(&spec, &metadata), Some(&old), &[], "new"), None);
    }

    #[test]
    fn a_pool_without_a_deployment_is_not_counted() {
        assert_eq!(state(&pool(&json!({}), &json!({})), None, &[], "new"), None);
    }
}
