//! Chart upgrades with another image of the workers, in a real cluster.
#![cfg(test)]

use e2e::platform::{Platform, SHELL, WORKER_NAMESPACE};
use e2e::request::expect;
use serde_json::Value;

/// The image of the workers as the tests build it.
const IMAGE: &str = "localhost/trackyard-worker";

/// Small enough for all of them, and those that replace them, on one node.
fn pool(platform: &Platform, name: &str, more: &str) {
    platform.cluster.apply(&format!(
        "apiVersion: trackyard.dev/v1alpha1\nkind: WorkerPool\nmetadata: {{name: {name}, namespace: {WORKER_NAMESPACE}}}\n\
         spec: {{channel: test_runners, topics: [{SHELL}], slots: 1, slot: {{cpu: 50m, memory: 128Mi, storage: 64Mi}}, \
         cache: {{emptyDir: {{size: 512Mi}}}}, {more}}}\n"
    ));
}

fn get(platform: &Platform, what: &[&str]) -> Value {
    let found = platform
        .kubectl(&[&["get", "-o=json"][..], what].concat())
        .expect("an object of the worker namespace");
    serde_json::from_str(&found).unwrap()
}

fn image(platform: &Platform, pool: &str) -> String {
    let deployment = get(platform, &[&format!("deployment/{pool}-workers")]);
    let image = &deployment["spec"]["template"]["spec"]["containers"][0]["image"];
    image.as_str().unwrap().replace(&format!("{IMAGE}:"), "")
}

/// The pods of a pool that are not about to go.
fn pods(platform: &Platform, pool: &str) -> Vec<Value> {
    let all = get(platform, &["pods", &format!("--selector=trackyard.dev/pool={pool}")]);
    let all = all["items"].as_array().unwrap().clone();
    all.into_iter().filter(|pod| pod["metadata"]["deletionTimestamp"].is_null()).collect()
}

fn uids(platform: &Platform, pool: &str) -> Vec<Value> {
    pods(platform, pool).iter().map(|pod| pod["metadata"]["uid"].clone()).collect()
}

/// When the only pod of a pool was made, and when it was ready.
fn times(platform: &Platform, pool: &str) -> (String, String) {
    let pod = pods(platform, pool).remove(0);
    let conditions = pod["status"]["conditions"].as_array().unwrap().clone();
    let ready = conditions.into_iter().find(|condition| condition["type"] == "Ready").unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&pod["metadata"]["creationTimestamp"]), text(&ready["lastTransitionTime"]))
}

fn told(platform: &Platform, pool: &str, condition: &str, reason: &str) {
    let path = format!(r#"jsonpath={{.status.conditions[?(@.type=="{condition}")].reason}}={reason}"#);
    platform.wait_for(&path, &format!("workerpool/{pool}"));
}

#[test]
fn rollout_is_gradual_and_stops_at_a_stalled_pool() {
    let platform = Platform::on_local_cluster("renames images on the node");
    let first = image_tag(&platform);
    for name in ["a", "b", "c"] {
        pool(&platform, name, "replicas: 1");
    }
    pool(&platform, "empty", "replicas: 0");
    pool(&platform, "own", &format!("replicas: 0, image: '{IMAGE}:{first}'"));
    platform.deploy_shell();
    for name in ["a", "b", "c", "empty", "own"] {
        platform.wait_for("Ready", &format!("workerpool/{name}"));
    }

    let (old, new) = (format!("{IMAGE}:{first}"), format!("{IMAGE}:second"));
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

    // One that is nowhere.
    let before = uids(&platform, "c");
    let jobs: Vec<Value> = (0..6).map(|n| platform.sleeping(&format!("while-it-stalls-{n}"), 5)).collect();
    let asking = platform.send(&jobs);
    platform.upgrade("agents.image.tag=missing");
    for name in ["a", "b"] {
        told(&platform, name, "Stalled", "ImageUnavailable");
    }
    for name in ["c", "empty"] {
        told(&platform, name, "Reconciling", "RolloutStopped");
        assert_eq!(image(&platform, name), "second");
    }
    let conditions = get(&platform, &["workerpool/c"])["status"]["conditions"].to_string();
    let said = "image localhost/trackyard-worker:missing: the pool a stalls with it (ImageUnavailable)";
    assert!(conditions.contains(said), "{conditions}");
    for answer in asking.answers().values() {
        expect(answer, 200, "ok");
    }
    assert_eq!(uids(&platform, "c"), before, "its workers were touched");
    // It still grows, of what it has.
    assert!(platform.kubectl(&["scale", "workerpool/c", "--replicas=2"]).is_some());
    platform.wait_for("jsonpath={.status.readyReplicas}=2", "workerpool/c");
    assert_eq!((image(&platform, "c").as_str(), pods(&platform, "c").len()), ("second", 2));

    // Back again, and all is well.
    platform.upgrade("agents.image.tag=second");
    for name in ["a", "b", "c", "empty"] {
        platform.wait_for("Ready", &format!("workerpool/{name}"));
        assert_eq!(image(&platform, name), "second");
    }
    assert!(uids(&platform, "c").contains(&before[0]), "its first worker was touched");
}

/// The tag that the chart gives by itself.
fn image_tag(platform: &Platform) -> String {
    let images = platform.cluster.run_on_node(&["ctr", "--namespace", "k8s.io", "images", "ls", "-q"]);
    let mut tags = images.lines().filter_map(|image| image.strip_prefix(&format!("{IMAGE}:")));
    tags.next().expect("the workers' image").to_owned()
}
