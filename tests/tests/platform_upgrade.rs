//! The upgrade from an earlier release to this one under load, in a real cluster.
#![cfg(test)]

use e2e::platform::{Platform, PoolSpec, RELEASE, Release, SHELL};
use e2e::request::expect;
use e2e::wait::{seconds, wait_until};
use serde_json::Value;

/// Two pods with four slots each run them in half a minute.
const JOBS: usize = 120;

/// Returns the images of a namespace's Deployments.
fn images(platform: &Platform, namespace: &str) -> String {
    let path = "-o=jsonpath={.items[*].spec.template.spec.containers[*].image}";
    platform.cluster.kubectl(&["get", "deployments", "--namespace", namespace, path])
}

fn spec(platform: &Platform, object: &str) -> String {
    platform.kubectl(&["get", object, "-o=jsonpath={.spec}"]).unwrap_or_default()
}

#[test]
fn earlier_release_upgrades_under_load() {
    let platform = Platform::start_with(&Release::frozen());
    platform.apply_pool(&PoolSpec::new("shell", SHELL, "replicas: 2, drainTimeout: 30s").cpu("50m"));
    platform.deploy_shell();
    let version = "containerversion/shell-git-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    for object in ["workerpool/shell", version] {
        platform.wait_for("Ready", object);
    }
    let before = (spec(&platform, "workerpool/shell"), spec(&platform, version));
    assert!(images(&platform, RELEASE).contains(":frozen"));

    // The router is replaced too, so the client sends unanswered requests again.
    let jobs: Vec<Value> = (0..JOBS).map(|n| platform.sleeping(&format!("job-{n}"), 2)).collect();
    let pending = platform.send_from_node(&jobs, Some(5));
    wait_until(seconds(30), "all slots are filled", || platform.running_jobs() == 8);
    // The new chart has another default worker namespace, and refuses to leave the pools behind.
    let chart = Release::this().chart("trackyard");
    let refused = platform
        .cluster
        .try_helm(&["upgrade", RELEASE, &chart, "--namespace", RELEASE, "--reset-values"])
        .unwrap_err();
    assert!(refused.contains("set workerNamespace.name to trackyard-yard"), "{refused}");
    platform.upgrade_to(&Release::this());
    for (id, answer) in pending.answers() {
        assert!(id.starts_with("job-"), "{id}");
        expect(&answer, 200, "ok");
    }

    let is_new = |namespace| !images(&platform, namespace).contains(":frozen");
    wait_until(seconds(60), "everything is of this release", || {
        is_new(RELEASE) && is_new(platform.worker_namespace)
    });
    for object in ["workerpool/shell", version] {
        platform.wait_for("Ready", object);
    }
    assert_eq!((spec(&platform, "workerpool/shell"), spec(&platform, version)), before);
    expect(&platform.ask(&platform.sleeping("after", 0)), 200, "ok");
}
