//! When a build is requested, and what is reported of it.

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

/// Returns the status of a failed build.
fn failed_status(rebuild: &str) -> Value {
    json!({"rebuild": rebuild, "conditions": [{
        "type": "Built", "status": "False", "reason": "BuildFailed", "message": "513 build_failed: why",
        "lastTransitionTime": "2026-01-01T00:00:00Z"}]})
}

/// Returns the status, reason and message of the condition `Built`.
fn summary(report: BuildReport) -> (String, String, String) {
    let condition = report.condition.into_condition("Built", None, &[], &Time(Timestamp::UNIX_EPOCH));
    (condition.status, condition.reason, condition.message)
}

#[rstest]
#[case::new(None, json!({}), Some(""))]
#[case::no_conditions(None, json!({"conditions": []}), Some(""))]
#[case::built(None, json!({"version": TAG}), None)]
#[case::rebuild_of_built(Some("1"), json!({"version": TAG}), None)]
#[case::failed(None, failed_status(""), None)]
#[case::rebuild_failed(Some("1"), failed_status("1"), None)]
#[case::rebuild_of_failed(Some("1"), failed_status(""), Some("1"))]
#[case::another_rebuild(Some("2"), failed_status("1"), Some("2"))]
#[case::rebuild_removed(None, failed_status("1"), Some(""))]
fn needed_builds(#[case] rebuild: Option<&str>, #[case] status: Value, #[case] attempt: Option<&str>) {
    let spec = needed_build(&version(rebuild, &status));
    assert_eq!(spec.as_ref().map(|spec| spec.attempt.as_str()), attempt);
    if let Some(spec) = spec {
        assert_eq!((&*spec.uid, &*spec.track, &*spec.git_reference), ("u", "ruby", "main"));
    }
}

#[rstest]
#[case::no_router(None, false, "False", "RouterNotConfigured", "set spec.version")]
#[case::requested(Some(BuildStage::Requested), true, "False", "BuildRequested", "requested of the router")]
#[case::waiting(Some(BuildStage::Waiting), true, "False", "WaitingForBuilder", "a free builder")]
#[case::running(Some(BuildStage::Running), true, "False", "Building", "a builder runs")]
#[case::postponed(
    Some(BuildStage::Postponed { why: "503 no_worker: none".to_owned() }), true, "False", "Postponed", "503 no_worker"
)]
#[case::built(Some(BuildStage::Built { version: TAG.to_owned() }), true, "True", "Built", "")]
#[case::failed(
    Some(BuildStage::Failed { why: "513 build_failed: x\nlog".to_owned() }), true, "False", "BuildFailed", "x\nlog"
)]
fn stage_becomes_condition(
    #[case] stage: Option<BuildStage>,
    #[case] has_router: bool,
    #[case] status: &str,
    #[case] reason: &str,
    #[case] message: &str,
) {
    let (found_status, found_reason, found_message) =
        summary(report(&version(None, &json!({})), stage.as_ref(), has_router).unwrap());
    assert_eq!((&*found_status, &*found_reason), (status, reason));
    assert!(found_message.contains(message), "{found_message}");
}

#[test]
fn ended_build_keeps_its_report() {
    let done = report(&version(Some("1"), &json!({"version": TAG, "rebuild": ""})), None, true).unwrap();
    assert_eq!((done.version.as_deref(), done.rebuild.as_deref()), (Some(TAG), Some("")));
    assert_eq!(summary(done).1, "Built");
    let failed = report(&version(None, &failed_status("")), None, false).unwrap();
    assert_eq!(summary(failed), ("False".into(), "BuildFailed".into(), "513 build_failed: why".into()));
    let again = report(&version(Some("1"), &failed_status("")), Some(&BuildStage::Running), true).unwrap();
    assert_eq!((again.rebuild.clone().as_deref(), summary(again).1.as_str()), (Some(""), "Building"));
}

#[test]
fn version_with_image_is_not_built() {
    let object = json!({
        "apiVersion": "trackyard.dev/v1alpha1", "kind": "ContainerVersion", "metadata": {"name": "x", "uid": "u"},
        "spec": {"channel": "test_runners", "track": "ruby", "version": TAG},
    });
    let version: ContainerVersion = serde_json::from_value(object).unwrap();
    assert!(needed_build(&version).is_none() && report(&version, None, true).is_none());
}
