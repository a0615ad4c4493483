use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::pool::rollout::decide::Turn;

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

/// `Ready`'s status and reason, `Reconciling`'s and `Stalled`'s status.
fn told(status: &WorkerPoolStatus) -> (String, String) {
    let of = |kind: &str| status.conditions.iter().find(|condition| condition.type_ == kind).unwrap();
    let words = ["Ready", "Reconciling", "Stalled"].map(|kind| of(kind).status.as_str());
    (words.join(" "), of("Ready").reason.clone())
}

fn look(pool: &WorkerPool, deployment: Option<&Deployment>, pods: &[Pod], desired: u32) -> (String, String) {
    told(&status(pool, &Seen { deployment, pods, desired, can_scale: true, waits: None }, &at(0)))
}

#[rstest]
#[case::all_are_there(2, 2, 2, json!({}), "AllReady")]
#[case::none_are_wanted(0, 0, 0, json!({}), "ScaledToZero")]
#[case::all_are_suspended(0, 0, 0, json!({"suspend": true}), "Suspended")]
fn what_is_as_it_should_be_is_ready(
    #[case] wanted: i32,
    #[case] ready: i32,
    #[case] desired: u32,
    #[case] spec: Value,
    #[case] reason: &str,
) {
    let found = look(&pool(&spec), Some(&deployment(wanted, ready, &json!([]))), &[], desired);
    assert_eq!(found, ("True False False".to_owned(), reason.to_owned()));
}

#[rstest]
#[case::some_are_not_ready(Some(deployment(2, 1, &json!([]))), 2)]
#[case::the_number_is_not_written_yet(Some(deployment(2, 2, &json!([]))), 3)]
#[case::nothing_is_there(None, 1)]
fn what_is_under_way_is_reconciling(#[case] deployment: Option<Deployment>, #[case] desired: u32) {
    let found = look(&pool(&json!({})), deployment.as_ref(), &[], desired);
    assert_eq!(found, ("False True False".to_owned(), "Progressing".to_owned()));
}

#[test]
fn an_older_look_of_the_deployments_own_controller_is_not_believed() {
    let mut deployment = deployment(2, 2, &json!([]));
    deployment.metadata.generation = Some(8);
    assert_eq!(look(&pool(&json!({})), Some(&deployment), &[], 2).0, "False True False");
}

#[rstest]
#[case::image(waiting("ImagePullBackOff", "not found"), "ImageUnavailable", "pod ruby-1: not found")]
#[case::crash(
    waiting("CrashLoopBackOff", "back-off"),
    "AgentEnds",
    "pod ruby-1: cgroup: cannot mount memory"
)]
#[case::secret(
    waiting("CreateContainerConfigError", "no secret"),
    "ContainerRefused",
    "pod ruby-1: no secret"
)]
fn a_pod_that_cannot_run_is_named_with_its_cause(
    #[case] state: Value,
    #[case] reason: &str,
    #[case] said: &str,
) {
    let (deployment, pods) = (deployment(1, 0, &json!([])), [pod(&state)]);
    let seen = Seen { deployment: Some(&deployment), pods: &pods, desired: 1, can_scale: true, waits: None };
    let status = status(&pool(&json!({})), &seen, &at(0));
    assert_eq!(told(&status), ("False False True".to_owned(), reason.to_owned()));
    assert_eq!(status.conditions[2].message, said);
}

#[rstest]
#[case("pods \"a\" is forbidden: exceeded quota: none, requested: pods=1", "QuotaExceeded")]
#[case("pods \"a\" is forbidden: violates PodSecurity \"restricted\": privileged", "PodSecurityForbidden")]
#[case("serviceaccount \"x\" not found", "PodsRefused")]
fn pods_that_cannot_be_made_stall_the_pool(#[case] message: &str, #[case] reason: &str) {
    let conditions = json!([{"type": "ReplicaFailure", "status": "True", "message": message}]);
    let found = look(&pool(&json!({})), Some(&deployment(1, 0, &conditions)), &[], 1);
    assert_eq!(found, ("False False True".to_owned(), reason.to_owned()));
}

#[test]
fn a_pod_without_a_node_is_waited_for_unless_another_is_stuck() {
    let condition =
        json!({"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no cpu"});
    let lonely = pod(&json!({"conditions": [condition]}));
    let deployment = deployment(2, 0, &json!([]));
    let found = look(&pool(&json!({})), Some(&deployment), std::slice::from_ref(&lonely), 2);
    assert_eq!(found, ("False True False".to_owned(), "Unschedulable".to_owned()));
    let stuck = pod(&waiting("ErrImagePull", "no such image"));
    let found = look(&pool(&json!({})), Some(&deployment), &[lonely, stuck], 2);
    assert_eq!(found, ("False False True".to_owned(), "ImageUnavailable".to_owned()));
}

#[test]
fn what_takes_too_long_is_stuck_for_the_reason_for_which_it_waits() {
    let late = json!([{
        "type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "timed out"
    }]);
    let deployment = deployment(1, 0, &late);
    let found = look(&pool(&json!({})), Some(&deployment), &[], 1);
    assert_eq!(found, ("False False True".to_owned(), "ProgressDeadlineExceeded".to_owned()));
    let lonely =
        json!({"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no cpu"});
    let lonely = pod(&json!({"conditions": [lonely]}));
    let found = look(&pool(&json!({})), Some(&deployment), &[lonely], 1);
    assert_eq!(found, ("False False True".to_owned(), "Unschedulable".to_owned()));
}

#[test]
fn a_pool_that_waits_for_others_says_so_unless_its_own_pods_have_a_cause() {
    let stopped = Turn::Stopped { by: "a".to_owned(), why: "AgentEnds" }.cause("new:2").unwrap();
    let deployment = deployment(1, 1, &json!([]));
    let status_of = |pods: &[Pod]| {
        let seen =
            Seen { deployment: Some(&deployment), pods, desired: 1, can_scale: true, waits: Some(&stopped) };
        status(&pool(&json!({})), &seen, &at(0))
    };
    let waits = status_of(&[]);
    assert_eq!(told(&waits), ("False True False".to_owned(), "RolloutStopped".to_owned()));
    let said = "the pool a stalls with the new default image new:2 (AgentEnds): until it is ready no other takes it, \
                and the pods here stay as they are";
    assert_eq!(waits.conditions[0].message, said);
    let own = status_of(&[pod(&waiting("ErrImagePull", ""))]);
    assert_eq!(told(&own), ("False False True".to_owned(), "ImageUnavailable".to_owned()));
}

#[test]
fn a_pod_that_ends_is_draining_and_no_cause() {
    let mut ending = pod(&waiting("CrashLoopBackOff", ""));
    ending.metadata.deletion_timestamp = Some(at(1));
    let (deployment, pods) = (deployment(1, 1, &json!([])), [ending]);
    let seen = Seen { deployment: Some(&deployment), pods: &pods, desired: 1, can_scale: true, waits: None };
    let status = status(&pool(&json!({})), &seen, &at(0));
    assert_eq!(told(&status).1, "AllReady");
    assert_eq!(
        (status.draining_replicas, status.selector.as_deref()),
        (Some(1), Some("trackyard.dev/pool=ruby"))
    );
}

#[test]
fn without_figures_of_the_router_scaling_says_so() {
    let pool = pool(&json!({"autoscale": {"max": 3}}));
    let scaling = |can_scale| {
        let seen = Seen { deployment: None, pods: &[], desired: 1, can_scale, waits: None };
        let scaling = status(&pool, &seen, &at(0)).conditions[3].clone();
        (scaling.type_, scaling.status, scaling.reason)
    };
    let words = |status: &str, reason: &str| ("Autoscaling".to_owned(), status.to_owned(), reason.to_owned());
    assert_eq!(scaling(true), words("True", "Active"));
    assert_eq!(scaling(false), words("False", "NoFigures"));
}

#[test]
fn what_cannot_be_and_what_is_not_to_be_touched_keep_their_counts() {
    let mut pool = pool(&json!({}));
    pool.status = Some(WorkerPoolStatus { replicas: Some(3), ..WorkerPoolStatus::default() });
    let refused = refused(&pool, "TooLarge", "too large", &at(0));
    assert_eq!(told(&refused), ("False False True".to_owned(), "TooLarge".to_owned()));
    let left = hands_off(&pool, &at(0));
    assert_eq!(told(&left), ("False False False".to_owned(), "Disabled".to_owned()));
    assert_eq!((refused.replicas, left.replicas), (Some(3), Some(3)));
}

#[test]
fn what_has_not_turned_keeps_its_time() {
    let mut pool = pool(&json!({}));
    let (good, bad) = (deployment(1, 1, &json!([])), deployment(1, 0, &json!([])));
    let seen = |deployment| Seen {
        deployment: Some(deployment),
        pods: &[],
        desired: 1,
        can_scale: true,
        waits: None,
    };
    pool.status = Some(status(&pool, &seen(&good), &at(10)));
    assert_eq!(
        pool.status,
        Some(status(&pool, &seen(&good), &at(20))),
        "an unchanged pool has another status"
    );
    let turned = status(&pool, &seen(&bad), &at(30));
    let times: Vec<Time> =
        turned.conditions.into_iter().map(|condition| condition.last_transition_time).collect();
    assert_eq!(times, [at(30), at(30), at(10), at(10), at(10)]);
}
