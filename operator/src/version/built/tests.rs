//! What is said of a build, and when one is ordered.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use rstest::rstest;
use serde_json::{Value, json};

use super::*;

const TAG: &str = "git-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

fn version(rebuild: Option<&str>, status: &Value) -> ContainerVersion {
    let annotations = rebuild.map_or(json!({}), |value| json!({"trackyard.dev/rebuild": value}));
    let object = json!({
        "apiVersion": "trackyard.dev/v1alpha1", "kind": "ContainerVersion",
        "metadata": {"name": "x", "uid": "u", "generation": 2, "annotations": annotations},
        "spec": {"channel": "test_runners", "track": "ruby", "gitReference": "main"}, "status": status,
    });
    serde_json::from_value(object).unwrap()
}

/// As it is written once a build has failed.
fn has_failed(rebuild: &str) -> Value {
    json!({"rebuild": rebuild, "conditions": [{
        "type": "Built", "status": "False", "reason": "BuildFailed", "message": "513 build_failed: why",
        "lastTransitionTime": "2026-01-01T00:00:00Z"}]})
}

fn say(built: Built) -> (String, String, String) {
    let condition = built.told.condition("Built", None, &[], &Time(Timestamp::UNIX_EPOCH));
    (condition.status, condition.reason, condition.message)
}

#[rstest]
#[case::new(None, json!({}), Some(""))]
#[case::not_known_to_have_ended(None, json!({"conditions": []}), Some(""))]
#[case::built(None, json!({"version": TAG}), None)]
#[case::built_and_asked_again(Some("1"), json!({"version": TAG}), None)]
#[case::failed(None, has_failed(""), None)]
#[case::failed_again(Some("1"), has_failed("1"), None)]
#[case::failed_and_asked_again(Some("1"), has_failed(""), Some("1"))]
#[case::asked_again_differently(Some("2"), has_failed("1"), Some("2"))]
#[case::no_longer_asked(None, has_failed("1"), Some(""))]
fn when_a_build_is_ordered(
    #[case] rebuild: Option<&str>,
    #[case] status: Value,
    #[case] attempt: Option<&str>,
) {
    let order = order(&version(rebuild, &status));
    assert_eq!(order.as_ref().map(|order| order.attempt.as_str()), attempt);
    if let Some(order) = order {
        assert_eq!((&*order.uid, &*order.track, &*order.git_reference), ("u", "ruby", "main"));
    }
}

#[rstest]
#[case::nobody_to_ask(None, false, "False", "NoRouter", "then name the version")]
#[case::asked(Some(Progress::Asked), true, "False", "Asked", "the router is asked")]
#[case::waits(Some(Progress::Waiting), true, "False", "WaitingForBuilder", "a builder")]
#[case::runs(Some(Progress::Running), true, "False", "Building", "in hand")]
#[case::later(
    Some(Progress::Postponed { why: "503 no_worker: none".to_owned() }), true, "False", "Postponed", "503 no_worker"
)]
#[case::built(Some(Progress::Built { version: TAG.to_owned() }), true, "True", "Built", "")]
#[case::failed(
    Some(Progress::Failed { why: "513 build_failed: x\nlog".to_owned() }), true, "False", "BuildFailed", "x\nlog"
)]
fn what_is_said_of_a_build(
    #[case] progress: Option<Progress>,
    #[case] can_be_ordered: bool,
    #[case] status: &str,
    #[case] reason: &str,
    #[case] message: &str,
) {
    let (told, why, said) =
        say(built(&version(None, &json!({})), progress.as_ref(), can_be_ordered).unwrap());
    assert_eq!((&*told, &*why), (status, reason));
    assert!(said.contains(message), "{said}");
}

#[test]
fn what_is_built_or_has_failed_stays_so_whatever_this_operator_knows() {
    let done = built(&version(Some("1"), &json!({"version": TAG, "rebuild": ""})), None, true).unwrap();
    assert_eq!((done.version.as_deref(), done.rebuild.as_deref()), (Some(TAG), Some("")));
    assert_eq!(say(done).1, "Built");
    let failed = built(&version(None, &has_failed("")), None, false).unwrap();
    assert_eq!(say(failed), ("False".into(), "BuildFailed".into(), "513 build_failed: why".into()));
    let again = built(&version(Some("1"), &has_failed("")), Some(&Progress::Running), true).unwrap();
    assert_eq!((again.rebuild.clone().as_deref(), say(again).1.as_str()), (Some(""), "Building"));
}

#[test]
fn a_version_that_names_an_image_is_not_built() {
    let object = json!({
        "apiVersion": "trackyard.dev/v1alpha1", "kind": "ContainerVersion", "metadata": {"name": "x", "uid": "u"},
        "spec": {"channel": "test_runners", "track": "ruby", "version": TAG},
    });
    let version: ContainerVersion = serde_json::from_value(object).unwrap();
    assert!(order(&version).is_none() && built(&version, None, true).is_none());
}
