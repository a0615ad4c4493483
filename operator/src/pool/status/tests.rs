use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::pool::rollout::decide::RolloutDecision;

fn pool(spec: &Value) -> WorkerPool {
    let mut whole = json!({"channel": "test_runners", "topics": ["ruby"]});
    whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    serde_json::from_value(json!({
        "apiVersion": "trackyard.dev/v1alpha1", "kind": "WorkerPool",
        "metadata": {"name": "ruby", "generation": 3}, "spec": whole
    }))
    .unwrap()
}

fn deployment(wanted: i32, ready: i32, conditions: &Value) -> Deployment {
    serde_json::from_value(json!({
        "metadata": {"generation": 7},
        "spec": {"replicas": wanted, "selector": {}, "template": {}},
        "status": {
            "observedGeneration": 7, "replicas": wanted, "updatedReplicas": wanted, "readyReplicas": ready,
            "conditions": conditions
        }
    }))
    .unwrap()
}

fn pod(status: &Value) -> Pod {
    serde_json::from_value(json!({"metadata": {"name": "ruby-1"}, "status": status})).unwrap()
}

fn waiting(reason: &str, message: &str) -> Value {
    let state = json!({"waiting": {"reason": reason, "message": message}});
    json!({"containerStatuses": [{
        "name": "agent", "image": "i", "imageID": "", "ready": false, "restartCount": 4, "state": state,
        "lastState": {"terminated": {"exitCode": 1, "message": "cgroup: cannot mount memory\n"}}
    }]})
}

fn at(second: i64) -> Time {
    Time(k8s_openapi::jiff::Timestamp::from_second(second).unwrap())
}

/// Returns the statuses of `Ready`, `Reconciling` and `Stalled`, and the reason of `Ready`.
fn summary(status: &WorkerPoolStatus) -> (String, String) {
    let of = |kind: &str| status.conditions.iter().find(|condition| condition.type_ == kind).unwrap();
    let statuses = ["Ready", "Reconciling", "Stalled"].map(|kind| of(kind).status.as_str());
    (statuses.join(" "), of("Ready").reason.clone())
}

fn observe(
    pool: &WorkerPool,
    deployment: Option<&Deployment>,
    pods: &[Pod],
    desired: u32,
) -> (String, String) {
    summary(&status(pool, &PoolFacts { deployment, pods, desired, can_scale: true, held_back: None }, &at(0)))
}

#[rstest]
#[case::all_ready(2, 2, 2, json!({}), "AllReady")]
#[case::scaled_to_zero(0, 0, 0, json!({}), "ScaledToZero")]
#[case::suspended(0, 0, 0, json!({"suspend": true}), "Suspended")]
fn up_to_date_pool_is_ready(
    #[case] wanted: i32,
    #[case] ready: i32,
    #[case] desired: u32,
    #[case] spec: Value,
    #[case] reason: &str,
) {
    let found = observe(&pool(&spec), Some(&deployment(wanted, ready, &json!([]))), &[], desired);
    assert_eq!(found, ("True False False".to_owned(), reason.to_owned()));
}

#[rstest]
#[case::pod_not_ready(Some(deployment(2, 1, &json!([]))), 2)]
#[case::not_scaled_yet(Some(deployment(2, 2, &json!([]))), 3)]
#[case::no_deployment(None, 1)]
fn changing_pool_is_reconciling(#[case] deployment: Option<Deployment>, #[case] desired: u32) {
    let found = observe(&pool(&json!({})), deployment.as_ref(), &[], desired);
    assert_eq!(found, ("False True False".to_owned(), "Progressing".to_owned()));
}

#[test]
fn outdated_deployment_status_is_ignored() {
    let mut deployment = deployment(2, 2, &json!([]));
    deployment.metadata.generation = Some(8);
    assert_eq!(observe(&pool(&json!({})), Some(&deployment), &[], 2).0, "False True False");
}

#[rstest]
#[case::image(waiting("ImagePullBackOff", "not found"), "ImageUnavailable", "pod ruby-1: not found")]
#[case::crash(
    waiting("CrashLoopBackOff", "back-off"),
    "AgentCrashed",
    "pod ruby-1: cgroup: cannot mount memory"
)]
#[case::secret(
    waiting("CreateContainerConfigError", "no secret"),
    "ContainerStartFailed",
    "pod ruby-1: no secret"
)]
fn failing_pod_stalls_pool_with_its_cause(#[case] state: Value, #[case] reason: &str, #[case] message: &str) {
    let deployment = deployment(1, 0, &json!([]));
    let pods = [pod(&state)];
    let facts = PoolFacts {
        deployment: Some(&deployment),
        pods: &pods,
        desired: 1,
        can_scale: true,
        held_back: None,
    };
    let status = status(&pool(&json!({})), &facts, &at(0));
    assert_eq!(summary(&status), ("False False True".to_owned(), reason.to_owned()));
    assert_eq!(status.conditions[2].message, message);
}

#[rstest]
#[case("pods \"a\" is forbidden: exceeded quota: none, requested: pods=1", "QuotaExceeded")]
#[case("pods \"a\" is forbidden: violates PodSecurity \"restricted\": privileged", "PodSecurityForbidden")]
#[case("serviceaccount \"x\" not found", "FailedCreate")]
fn rejected_pods_stall_pool(#[case] message: &str, #[case] reason: &str) {
    let conditions = json!([{"type": "ReplicaFailure", "status": "True", "message": message}]);
    let found = observe(&pool(&json!({})), Some(&deployment(1, 0, &conditions)), &[], 1);
    assert_eq!(found, ("False False True".to_owned(), reason.to_owned()));
}

#[test]
fn unschedulable_pod_waits_unless_another_is_stuck() {
    let condition =
        json!({"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no cpu"});
    let unschedulable = pod(&json!({"conditions": [condition]}));
    let deployment = deployment(2, 0, &json!([]));
    let found = observe(&pool(&json!({})), Some(&deployment), std::slice::from_ref(&unschedulable), 2);
    assert_eq!(found, ("False True False".to_owned(), "Unschedulable".to_owned()));
    let stuck = pod(&waiting("ErrImagePull", "no such image"));
    let found = observe(&pool(&json!({})), Some(&deployment), &[unschedulable, stuck], 2);
    assert_eq!(found, ("False False True".to_owned(), "ImageUnavailable".to_owned()));
}

#[test]
fn deadline_makes_waiting_cause_stuck() {
    let late = json!([{
        "type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "timed out"
    }]);
    let deployment = deployment(1, 0, &late);
    let found = observe(&pool(&json!({})), Some(&deployment), &[], 1);
    assert_eq!(found, ("False False True".to_owned(), "ProgressDeadlineExceeded".to_owned()));
    let unschedulable =
        json!({"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no cpu"});
    let unschedulable = pod(&json!({"conditions": [unschedulable]}));
    let found = observe(&pool(&json!({})), Some(&deployment), &[unschedulable], 1);
    assert_eq!(found, ("False False True".to_owned(), "Unschedulable".to_owned()));
}

#[test]
fn held_back_pool_reports_it_unless_its_pods_fail() {
    let stopped =
        RolloutDecision::Stopped { by: "a".to_owned(), why: "AgentCrashed" }.cause("new:2").unwrap();
    let deployment = deployment(1, 1, &json!([]));
    let status_of = |pods: &[Pod]| {
        let facts = PoolFacts {
            deployment: Some(&deployment),
            pods,
            desired: 1,
            can_scale: true,
            held_back: Some(&stopped),
        };
        status(&pool(&json!({})), &facts, &at(0))
    };
    let held_back = status_of(&[]);
    assert_eq!(summary(&held_back), ("False True False".to_owned(), "RolloutStopped".to_owned()));
    let message = "cannot roll out the new default image new:2: the pool a stalls with it (AgentCrashed); fix that pool, \
                   this one keeps its pods until then";
    assert_eq!(held_back.conditions[0].message, message);
    let own = status_of(&[pod(&waiting("ErrImagePull", ""))]);
    assert_eq!(summary(&own), ("False False True".to_owned(), "ImageUnavailable".to_owned()));
}

#[test]
fn deleted_pod_is_draining_and_no_cause() {
    let mut ending = pod(&waiting("CrashLoopBackOff", ""));
    ending.metadata.deletion_timestamp = Some(at(1));
    let deployment = deployment(1, 1, &json!([]));
    let pods = [ending];
    let facts = PoolFacts {
        deployment: Some(&deployment),
        pods: &pods,
        desired: 1,
        can_scale: true,
        held_back: None,
    };
    let status = status(&pool(&json!({})), &facts, &at(0));
    assert_eq!(summary(&status).1, "AllReady");
    assert_eq!(
        (status.draining_replicas, status.selector.as_deref()),
        (Some(1), Some("trackyard.dev/pool=ruby"))
    );
}

#[test]
fn autoscaling_needs_load_report() {
    let pool = pool(&json!({"autoscale": {"max": 3}}));
    let scaling = |can_scale| {
        let facts = PoolFacts { deployment: None, pods: &[], desired: 1, can_scale, held_back: None };
        let scaling = status(&pool, &facts, &at(0)).conditions[3].clone();
        (scaling.type_, scaling.status, scaling.reason)
    };
    let expected =
        |status: &str, reason: &str| ("Autoscaling".to_owned(), status.to_owned(), reason.to_owned());
    assert_eq!(scaling(true), expected("True", "Active"));
    assert_eq!(scaling(false), expected("False", "RouterUnreachable"));
}

#[test]
fn rejected_and_paused_pools_keep_counts() {
    let mut pool = pool(&json!({}));
    pool.status = Some(WorkerPoolStatus { replicas: Some(3), ..WorkerPoolStatus::default() });
    let rejected = rejected(&pool, "TooLarge", "too large", &at(0));
    assert_eq!(summary(&rejected), ("False False True".to_owned(), "TooLarge".to_owned()));
    let paused = paused(&pool, &at(0));
    assert_eq!(summary(&paused), ("False False False".to_owned(), "ReconcileDisabled".to_owned()));
    assert_eq!((rejected.replicas, paused.replicas), (Some(3), Some(3)));
}

#[test]
fn unchanged_condition_keeps_transition_time() {
    let mut pool = pool(&json!({}));
    let good = deployment(1, 1, &json!([]));
    let bad = deployment(1, 0, &json!([]));
    let facts = |deployment| PoolFacts {
        deployment: Some(deployment),
        pods: &[],
        desired: 1,
        can_scale: true,
        held_back: None,
    };
    pool.status = Some(status(&pool, &facts(&good), &at(10)));
    assert_eq!(
        pool.status,
        Some(status(&pool, &facts(&good), &at(20))),
        "an unchanged pool has an unchanged status"
    );
    let changed = status(&pool, &facts(&bad), &at(30));
    let times: Vec<Time> =
        changed.conditions.into_iter().map(|condition| condition.last_transition_time).collect();
    assert_eq!(times, [at(30), at(30), at(10), at(10), at(10)]);
}
