//! All of Trackyard in a real cluster: the charts, the Dockerfile's images, real tooling images, jobs from a pod.
#![cfg(test)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use e2e::platform::{Platform, PoolSpec};
use e2e::request::test_solution;
use serde_json::{Value, json};

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples")
}

#[test]
fn examples_run_on_their_pools() {
    let platform = Platform::start();
    platform.apply_pool(&PoolSpec::new("ruby", "ruby", "replicas: 1"));
    platform.apply_pool(&PoolSpec::new("any", "'*'", "replicas: 1"));
    for track in ["ruby", "python"] {
        platform.deploy(track, &platform.example_tag(&format!("{track}-test-runner")));
    }
    for pool in ["workerpool/ruby", "workerpool/any"] {
        platform.wait_for("Ready", pool);
    }
    let expected: Vec<Value> =
        serde_json::from_slice(&fs::read(examples().join("expected.json")).unwrap()).unwrap();
    let cases: Vec<&Value> = expected.iter().filter(|case| case["channel"] == "test_runners").collect();
    let request = |case: &Value| {
        let track = case["track"].as_str().unwrap();
        let dir = case["dir"].as_str().unwrap();
        let tag = platform.example_tag(&format!("{track}-test-runner"));
        let mut request =
            test_solution(&dir.replace('/', "-"), track, &platform.example_submission(dir), &tag);
        request["exercise_slug"] = case["exercise"].clone();
        if !case["execution_timeout"].is_null() {
            request["execution_timeout"] = case["execution_timeout"].clone();
        }
        request
    };
    let requests: Vec<Value> = cases.iter().map(|case| request(case)).collect();
    let answers = platform.ask_all(&requests);
    let responses: BTreeMap<&str, &Value> =
        answers.iter().map(|(id, answer)| (id.as_str(), &answer.response)).collect();
    insta::assert_json_snapshot!("responses", responses);
    for case in cases {
        let answer = &answers[&case["dir"].as_str().unwrap().replace('/', "-")];
        let context = serde_json::to_value(&answer.context).unwrap();
        assert_eq!(
            json!(answer.status.status_code),
            case["status_code"],
            "{case} {:?} {context}",
            answer.status
        );
        let worker = context["worker"].as_str().unwrap();
        assert!(case["track"] == "ruby" || worker.starts_with("any-workers-"), "{case} ran on {worker}");
    }
    // A single job runs on the track's own pool; the generic pool only takes what has no room there.
    let mut alone = requests.iter().find(|request| request["track_slug"] == "ruby").unwrap().clone();
    alone["id"] = json!("alone");
    let context = serde_json::to_value(platform.ask(&alone).context).unwrap();
    assert!(context["worker"].as_str().unwrap().starts_with("ruby-workers-"), "{context}");
}
