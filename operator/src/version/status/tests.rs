//! Load reports, and the status of a version that they lead to.

use k8s_openapi::jiff::Timestamp;
use rstest::rstest;
use serde_json::{Value, json};

use super::*;

const TAG: &str = "git-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

fn digest() -> String {
    format!("sha256:{}", "b".repeat(64))
}

fn version(status: &Value) -> ContainerVersion {
    let object = json!({
        "apiVersion": "trackyard.dev/v1alpha1", "kind": "ContainerVersion",
        "metadata": {"name": "x", "generation": 2},
        "spec": {"channel": "test_runners", "track": "ruby", "version": TAG}, "status": status,
    });
    serde_json::from_value(object).unwrap()
}

fn report(workers: u32, ready: u32, failures: &Value) -> LoadReport {
    let state = json!({"channel": "test_runners", "track": "ruby", "version": format!("{TAG}@{}", digest()),
                       "workers": workers, "ready": ready, "failures": failures});
    serde_json::from_value(json!({"versions": [state]})).unwrap()
}

fn condition(kind: &str, status: &str, generation: i64) -> Value {
    json!({"type": kind, "status": status, "reason": "X", "message": "why", "observedGeneration": generation,
           "lastTransitionTime": "2026-01-01T00:00:00Z"})
}

fn deployed() -> Value {
    json!({"digest": digest(), "conditions": [condition("Deployed", "True", 2)]})
}

fn was_ready(generation: i64) -> Value {
    json!({"digest": digest(), "conditions": [condition("Ready", "True", generation)]})
}

fn failed() -> Value {
    json!([{"reason": "pull_failed", "message": "no such host", "workers": 1}])
}

#[rstest]
#[case::all_ready(deployed(), Some(report(2, 2, &json!([]))), "True", "AllWorkersReady", "")]
#[case::no_workers(deployed(), Some(report(0, 0, &json!([]))), "True", "NoWorkers", "")]
#[case::some_ready(deployed(), Some(report(2, 1, &json!([]))), "False", "Preparing", "1 of 2 workers have this version")]
#[case::one_failed(
    deployed(),
    Some(report(2, 1, &failed())),
    "False",
    "PrepareFailed",
    "1 of 2 workers have this version; pull_failed: no such host"
)]
#[case::not_reported_yet(
    deployed(),
    Some(LoadReport::default()),
    "False",
    "Preparing",
    "the router has just deployed this version"
)]
#[case::not_looked_up(json!({}), Some(LoadReport::default()), "False", "NotDeployed", "the router has not looked up this version yet")]
#[case::no_such_image(
    json!({"conditions": [condition("Deployed", "False", 2)]}), Some(LoadReport::default()), "False", "NotDeployed", "why"
)]
#[case::no_load_report(json!({}), None, "False", "RouterUnreachable", "the operator has no recent load report from the router")]
#[case::new_worker_keeps_it_ready(
    was_ready(2),
    Some(report(3, 2, &failed())),
    "True",
    "AllWorkersReady",
    ""
)]
#[case::new_generation_starts_over(was_ready(1), Some(report(3, 2, &json!([]))), "False", "Preparing", "2 of 3 workers have this version")]
fn ready_condition(
    #[case] before: Value,
    #[case] report: Option<LoadReport>,
    #[case] expected: &str,
    #[case] reason: &str,
    #[case] message: &str,
) {
    let written = status(&version(&before), None, report.as_ref(), &Time(Timestamp::now())).unwrap();
    let ready = &written.conditions[0];
    assert_eq!((&*ready.status, &*ready.reason, &*ready.message), (expected, reason, message));
}

#[test]
fn unchanged_status_is_not_written() {
    let report = report(2, 2, &json!([]));
    let first = status(&version(&deployed()), None, Some(&report), &Time(Timestamp::UNIX_EPOCH)).unwrap();
    let mut stored = deployed();
    let written = serde_json::to_value(&first).unwrap();
    stored["workers"] = written["workers"].clone();
    stored["observedGeneration"] = written["observedGeneration"].clone();
    stored["conditions"].as_array_mut().unwrap().push(written["conditions"][0].clone());
    assert_eq!(status(&version(&stored), None, Some(&report), &Time(Timestamp::now())), None);
    assert_eq!(status(&version(&stored), None, None, &Time(Timestamp::now())), None);
    let fewer =
        status(&version(&stored), None, Some(&self::report(1, 1, &json!([]))), &Time(Timestamp::now()));
    assert_eq!(fewer.unwrap().conditions[0].last_transition_time, Time(Timestamp::UNIX_EPOCH));
}

/// Returns a version that names a git reference.
fn git_version(status: &Value) -> ContainerVersion {
    let mut version = version(status);
    version.spec.version = None;
    version.spec.git_reference = Some("main".to_owned());
    version
}

#[test]
fn build_is_reported_with_and_without_load_report() {
    let now = Time(Timestamp::UNIX_EPOCH);
    let building =
        || Some(BuildReport { version: None, rebuild: None, condition: not_ready("Building", "running") });
    let first = status(&git_version(&json!({})), building(), Some(&LoadReport::default()), &now).unwrap();
    let summary: Vec<_> = first.conditions.iter().map(|c| (&*c.type_, &*c.reason, &*c.message)).collect();
    assert_eq!(summary, [("Built", "Building", "running"), ("Ready", "NotBuilt", "running")]);
    let done = || {
        Some(BuildReport {
            version: Some(TAG.to_owned()),
            rebuild: Some(String::new()),
            condition: ConditionUpdate::new(true, "Built"),
        })
    };
    let stored = serde_json::to_value(&first).unwrap();
    let second = status(&git_version(&stored), done(), None, &now).unwrap();
    assert_eq!(second.version.as_deref(), Some(TAG));
    // Without a load report the condition Ready stays, and the version is not withdrawn.
    assert_eq!(second.conditions[1], first.conditions[1]);
    let stored = serde_json::to_value(&second).unwrap();
    assert_eq!(status(&git_version(&stored), done(), None, &now), None);
    let third = status(&git_version(&stored), done(), Some(&LoadReport::default()), &now).unwrap();
    assert_eq!(third.conditions[1].reason, "NotDeployed");
}
