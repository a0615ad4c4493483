//! What is said of a version, by what the router tells.

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

fn report(workers: u32, ready: u32, failures: &Value) -> Report {
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
#[case::all_have_it(deployed(), Some(report(2, 2, &json!([]))), "True", "AllPrepared", "")]
#[case::nobody_is_there(deployed(), Some(report(0, 0, &json!([]))), "True", "NoWorkers", "")]
#[case::some_have_it(deployed(), Some(report(2, 1, &json!([]))), "False", "Preparing", "1 of 2 workers have it")]
#[case::one_cannot(
    deployed(),
    Some(report(2, 1, &failed())),
    "False",
    "Failed",
    "1 of 2 workers have it; pull_failed: no such host"
)]
#[case::not_told_yet(
    deployed(),
    Some(Report::default()),
    "False",
    "Preparing",
    "the router has just deployed it"
)]
#[case::not_looked_up(json!({}), Some(Report::default()), "False", "NotDeployed", "the router has not looked it up yet")]
#[case::no_such_image(
    json!({"conditions": [condition("Deployed", "False", 2)]}), Some(Report::default()), "False", "NotDeployed", "why"
)]
#[case::new_and_no_figures(json!({}), None, "False", "NoFigures", "the router tells nothing now")]
#[case::a_new_worker_takes_nothing_from_it(
    was_ready(2),
    Some(report(3, 2, &failed())),
    "True",
    "AllPrepared",
    ""
)]
#[case::a_new_generation_begins_anew(was_ready(1), Some(report(3, 2, &json!([]))), "False", "Preparing", "2 of 3 workers have it")]
fn readiness(
    #[case] before: Value,
    #[case] report: Option<Report>,
    #[case] word: &str,
    #[case] reason: &str,
    #[case] message: &str,
) {
    let told = status(&version(&before), None, report.as_ref(), &Time(Timestamp::now())).unwrap();
    let ready = &told.conditions[0];
    assert_eq!((&*ready.status, &*ready.reason, &*ready.message), (word, reason, message));
}

#[test]
fn what_was_said_is_not_said_again_and_keeps_its_time() {
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

/// A version that is built, as far as `built` says.
fn of_git(status: &Value) -> ContainerVersion {
    let mut version = version(status);
    (version.spec.version, version.spec.git_reference) = (None, Some("main".to_owned()));
    version
}

#[test]
fn what_is_built_is_told_with_and_without_figures_and_a_version_is_never_taken_back() {
    let now = Time(Timestamp::UNIX_EPOCH);
    let building = || Some(Built { version: None, rebuild: None, told: no("Building", "in hand") });
    let first = status(&of_git(&json!({})), building(), Some(&Report::default()), &now).unwrap();
    let said: Vec<_> = first.conditions.iter().map(|c| (&*c.type_, &*c.reason, &*c.message)).collect();
    assert_eq!(said, [("Built", "Building", "in hand"), ("Ready", "NotBuilt", "in hand")]);
    let done = || {
        Some(Built { version: Some(TAG.to_owned()), rebuild: Some(String::new()), told: Told::yes("Built") })
    };
    let stored = serde_json::to_value(&first).unwrap();
    let second = status(&of_git(&stored), done(), None, &now).unwrap();
    assert_eq!(second.version.as_deref(), Some(TAG));
    // What was said of readiness stays while there are no figures.
    assert_eq!(second.conditions[1], first.conditions[1]);
    let stored = serde_json::to_value(&second).unwrap();
    assert_eq!(status(&of_git(&stored), done(), None, &now), None);
    let third = status(&of_git(&stored), done(), Some(&Report::default()), &now).unwrap();
    assert_eq!(third.conditions[1].reason, "NotDeployed");
}
