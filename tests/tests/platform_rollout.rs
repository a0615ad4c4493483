//! Chart upgrades that change the workers' image, in a real cluster.
#![cfg(test)]

use e2e::platform::{Platform, SHELL, WORKER_NAMESPACE};
use e2e::request::expect;
use serde_json::Value;

/// The workers' image as the tests build it.
const IMAGE: &str = "localhost/trackyard-worker";

/// Applies a pool that is small enough for all pools and their replacements to fit on one node.
fn apply_pool(platform: &Platform, name: &str, fields: &str) {
    platform.cluster.apply(&format!(
        "apiVersion: trackyard.dev/v1alpha1\nkind: WorkerPool\nmetadata: {{name: {name}, namespace: {WORKER_NAMESPACE}}}\n\
         spec: {{channel: test_runners, topics: [{SHELL}], slots: 1, slot: {{cpu: 50m, memory: 128Mi, storage: 64Mi}}, \
         cache: {{emptyDir: {{size: 512Mi}}}}, {fields}}}\n"
    ));
}

fn get(platform: &Platform, args: &[&str]) -> Value {
    let found = platform
        .kubectl(&[&["get", "-o=json"][..], args].concat())
        .expect("an object of the worker namespace");
    serde_json::from_str(&found).unwrap()
}

fn image(platform: &Platform, pool: &str) -> String {
    let deployment = get(platform, &[&format!("deployment/{pool}-workers")]);
    let image = &deployment["spec"]["template"]["spec"]["containers"][0]["image"];
    image.as_str().unwrap().replace(&format!("{IMAGE}:"), "")
}

/// Returns the pods of a pool that are not being deleted.
fn pods(platform: &Platform, pool: &str) -> Vec<Value> {
    let all = get(platform, &["pods", &format!("--selector=trackyard.dev/pool={pool}")]);
    let all = all["items"].as_array().unwrap().clone();
    all.into_iter().filter(|pod| pod["metadata"]["deletionTimestamp"].is_null()).collect()
}

fn uids(platform: &Platform, pool: &str) -> Vec<Value> {
    pods(platform, pool).iter().map(|pod| pod["metadata"]["uid"].clone()).collect()
}

/// Returns when the only pod of a pool was created, and when it became ready.
fn times(platform: &Platform, pool: &str) -> (String, String) {
    let pod = pods(platform, pool).remove(0);
    let conditions = pod["status"]["conditions"].as_array().unwrap().clone();
    let ready = conditions.into_iter().find(|condition| condition["type"] == "Ready").unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&pod["metadata"]["creationTimestamp"]), text(&ready["lastTransitionTime"]))
}

fn wait_for_reason(platform: &Platform, pool: &str, condition: &str, reason: &str) {
    let path = format!(r#"jsonpath={{.status.conditions[?(@.type=="{condition}")].reason}}={reason}"#);
    platform.wait_for(&path, &format!("workerpool/{pool}"));
}

#[test]
fn rollout_is_gradual_and_stops_at_a_stalled_pool() {
    let platform = Platform::on_local_cluster("renames images on the node");
    let first = image_tag(&platform);
    for name in ["a", "b", "c"] {
        apply_pool(&platform, name, "replicas: 1");
    }
    apply_pool(&platform, "empty", "replicas: 0");
    apply_pool(&platform, "own", &format!("replicas: 0, image: '{IMAGE}:{first}'"));
    platform.deploy_shell();
    for name in ["a", "b", "c", "empty", "own"] {
        platform.wait_for("Ready", &format!("workerpool/{name}"));
    }

    let old = format!("{IMAGE}:{first}");
    let new = format!("{IMAGE}:second");
    let _ = platform.cluster.run_on_node(&["ctr", "--namespace", "k8s.io", "images", "tag", &old, &new]);
    platform.upgrade("agents.image.tag=second");
    for name in ["a", "b", "c", "empty"] {
        let image = format!("jsonpath={{.spec.template.spec.containers[0].image}}={new}");
        platform.wait_for(&image, &format!("deployment/{name}-workers"));
        platform.wait_for("Ready", &format!("workerpool/{name}"));
    }
    let (began, _) = times(&platform, "c");
    let ready = ["a", "b"].map(|pool| times(&platform, pool).1);
    assert!(ready.iter().any(|ready| *ready <= began), "c began at {began}, a and b were ready at {ready:?}");
    assert_eq!(image(&platform, "own"), first);

    // An image that does not exist.
    let before = uids(&platform, "c");
    let jobs: Vec<Value> = (0..6).map(|n| platform.sleeping(&format!("while-it-stalls-{n}"), 5)).collect();
    let pending = platform.send(&jobs);
    platform.upgrade("agents.image.tag=missing");
    for name in ["a", "b"] {
        wait_for_reason(&platform, name, "Stalled", "ImageUnavailable");
    }
    for name in ["c", "empty"] {
        wait_for_reason(&platform, name, "Reconciling", "RolloutStopped");
        assert_eq!(image(&platform, name), "second");
    }
    let conditions = get(&platform, &["workerpool/c"])["status"]["conditions"].to_string();
    let message = "image localhost/trackyard-worker:missing: the pool a stalls with it (ImageUnavailable)";
    assert!(conditions.contains(message), "{conditions}");
    for answer in pending.answers().values() {
        expect(answer, 200, "ok");
    }
    assert_eq!(uids(&platform, "c"), before, "its workers were touched");
    // A pool still scales up with its current image.
    assert!(platform.kubectl(&["scale", "workerpool/c", "--replicas=2"]).is_some());
    platform.wait_for("jsonpath={.status.readyReplicas}=2", "workerpool/c");
    assert_eq!((image(&platform, "c").as_str(), pods(&platform, "c").len()), ("second", 2));

    // With the existing image again, all pools become ready.
    platform.upgrade("agents.image.tag=second");
    for name in ["a", "b", "c", "empty"] {
        platform.wait_for("Ready", &format!("workerpool/{name}"));
        assert_eq!(image(&platform, name), "second");
    }
    assert!(uids(&platform, "c").contains(&before[0]), "its first worker was touched");
}

/// Returns the chart's default tag.
fn image_tag(platform: &Platform) -> String {
    let images = platform.cluster.run_on_node(&["ctr", "--namespace", "k8s.io", "images", "ls", "-q"]);
    let mut tags = images.lines().filter_map(|image| image.strip_prefix(&format!("{IMAGE}:")));
    tags.next().expect("the workers' image").to_owned()
}
