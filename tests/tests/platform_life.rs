//! The life of an installation in a real cluster: changes, a second installation beside it, and its removal.
#![cfg(test)]

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use e2e::audit;
use e2e::platform::{Platform, PoolSpec, RELEASE, SHELL, WORKER_NAMESPACE};
use e2e::request::{expect, with};
use e2e::wait::{seconds, wait_until};
use serde_json::{Value, json};

/// Number of jobs during which no request may go to the API server.
const JOBS: usize = 1000;
/// How long an idle installation is observed.
const IDLE_TIME: Duration = Duration::from_secs(300);

/// Returns an object's resource version, which changes with every write.
fn resource_version(platform: &Platform, what: &[&str]) -> String {
    platform.cluster.kubectl(&[&["get", "-o=jsonpath={.metadata.resourceVersion}"][..], what].concat())
}

#[test]
fn installation_is_changed_isolated_and_removed() {
    let platform = Platform::on_local_cluster("reads what the API server was asked");
    platform.apply_pool(&PoolSpec::new("shell", SHELL, "replicas: 1"));
    platform.deploy_shell();
    platform.wait_for("Ready", "workerpool/shell");
    platform.wait_for("Ready", "containerversion/shell-git-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    expect(&platform.ask(&platform.sleeping("before", 0)), 200, "ok");

    let text = platform.cluster.helm(&["test", RELEASE, "--namespace", RELEASE]);
    assert!(text.contains("Phase:          Succeeded"), "{text}");
    configuration_change_needs_no_restart(&platform);
    installations_are_independent(&platform);
    jobs_need_no_api_requests(&platform);
    every_granted_right_is_used(&platform);
    uninstall_before_crds(&platform);
}

#[test]
fn idle_installation_writes_nothing() {
    let platform = &Platform::start();
    platform.apply_pool(&PoolSpec::new("shell", SHELL, "replicas: 1"));
    platform.wait_for("Ready", "workerpool/shell");
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/trackyard/samples");
    let pool = sample.join("workerpool-generic.yaml");
    let version = sample.join("containerversion.yaml");
    let files: Vec<&str> = [&pool, &version].map(|file| file.to_str().unwrap()).to_vec();
    let named = ["-f", files[0], "-f", files[1], "--namespace", WORKER_NAMESPACE];
    let _ = platform.cluster.kubectl(&[&["apply"][..], &named].concat());
    platform.wait_for("Ready", "workerpool/any");
    platform.wait_for("condition=Deployed=False", "containerversion/ruby");
    let objects: [&[&str]; 4] = [
        &["workerpool/shell", "--namespace", WORKER_NAMESPACE],
        &["deployment/any-workers", "--namespace", WORKER_NAMESPACE],
        &["workerpool/any", "--namespace", WORKER_NAMESPACE],
        &["containerversion/ruby", "--namespace", WORKER_NAMESPACE],
    ];
    let before: Vec<String> = objects.iter().map(|object| resource_version(platform, object)).collect();
    let _ = platform.cluster.kubectl(&[&["apply"][..], &named].concat());
    // kubectl diff exits with 1 if there is a difference, and then this panics.
    let _ = platform.cluster.kubectl(&[&["diff"][..], &named].concat());
    let _ = platform.cluster.kubectl(&[
        "annotate",
        "workerpool/shell",
        "looked=at",
        "--namespace",
        WORKER_NAMESPACE,
    ]);
    wait_until(seconds(20), "the operator has looked again", || {
        let pools = platform.cluster.kubectl(&[
            "get",
            "workerpool/shell",
            "-o=jsonpath={.metadata.annotations.looked}",
            "--namespace",
            WORKER_NAMESPACE,
        ]);
        pools == "at"
    });
    let since = Instant::now();
    while since.elapsed() < IDLE_TIME {
        let after: Vec<String> =
            objects.iter().skip(1).map(|object| resource_version(platform, object)).collect();
        assert_eq!(before[1..], after, "something was written at rest, after {:?}", since.elapsed());
        std::thread::sleep(seconds(10));
    }
    let _ = platform.cluster.kubectl(&[&["diff"][..], &named].concat());
    uninstall_after_crds(platform);
}

fn configuration_change_needs_no_restart(platform: &Platform) {
    let pod = || {
        platform.cluster.kubectl(&[
            "get",
            "pods",
            "-l=app.kubernetes.io/component=router",
            "-o=name",
            "--namespace",
            RELEASE,
        ])
    };
    let before = pod();
    platform.upgrade("config.limits.default.wall=1s");
    let mut asked = 0;
    // The kubelet takes up to a minute to update a ConfigMap in its pod.
    wait_until(seconds(120), "the router has read the change", || {
        asked += 1;
        platform.ask(&platform.sleeping(&format!("too-long-{asked}"), 3)).status.reason.as_deref()
            == Some("wall_time")
    });
    assert_eq!(pod(), before);
}

fn installations_are_independent(platform: &Platform) {
    platform.install_another("other");
    let path = "/api/v1/namespaces/other/services/other-trackyard-router:admin/proxy/status.json";
    let status: Value = serde_json::from_str(&platform.cluster.kubectl(&["get", "--raw", path])).unwrap();
    assert_eq!(status["dispatch"]["workers"], serde_json::json!([]));
    assert_eq!(status["config"]["container_versions"], serde_json::json!({}));
    let _ = platform.cluster.helm(&["uninstall", "other", "--namespace", "other", "--wait"]);
    let _ = platform.cluster.kubectl(&["delete", "namespace", "other", "other-workers", "--timeout=60s"]);
}

fn jobs_need_no_api_requests(platform: &Platform) {
    let others = || {
        let all = audit::api_requests(&platform.cluster, RELEASE);
        all.into_iter().filter(|asked| asked.right.1 != "leases" && asked.right.2 != "watch").count()
    };
    let before = others();
    let jobs: Vec<Value> = (0..JOBS).map(|n| platform.sleeping(&format!("counted-{n}"), 0)).collect();
    // Few enough at a time to stay below the queue's longest wait.
    for some in jobs.chunks(100) {
        platform.ask_all(some).values().for_each(|answer| expect(answer, 200, "ok"));
    }
    assert_eq!(others(), before, "{JOBS} jobs have asked the API server");
}

fn every_granted_right_is_used(platform: &Platform) {
    // Do what has not been done yet: a deploy and an unload by a client, and a smaller pool.
    let change = |action: &str, field: &str| {
        let place = json!({"action": action, "channel": "test_runners", "track_slug": "python"});
        platform.ask(&with(place, field, json!(platform.example_tag("python-test-runner"))))
    };
    expect(&change("deploy_container_version", "new_version"), 200, "ok");
    expect(&change("unload_container_version", "version"), 200, "ok");
    for replicas in ["2", "1"] {
        assert!(platform.kubectl(&["scale", "workerpool/shell", "--replicas", replicas]).is_some());
        platform.wait_for(&format!("jsonpath={{.status.readyReplicas}}={replicas}"), "workerpool/shell");
    }
    let asked = audit::api_requests(&platform.cluster, RELEASE);
    let refused: Vec<_> = asked.iter().filter(|asked| asked.code == 403).collect();
    assert!(refused.is_empty(), "{refused:?}");
    let mut used: BTreeSet<audit::AccessRight> = asked.into_iter().map(|asked| asked.right).collect();
    // Applying a new object needs both rights, and is logged as one.
    let created = used.iter().filter(|right| right.2 == "patch");
    let created: Vec<_> =
        created.map(|(who, what, _)| (who.clone(), what.clone(), "create".to_owned())).collect();
    used.extend(created);
    let granted = audit::granted(&platform.cluster, RELEASE);
    let unused: Vec<_> = granted.difference(&used).collect();
    // Only a repeated event is patched, and no event was repeated here.
    let series = ("trackyard-operator".to_owned(), "events".to_owned(), "patch".to_owned());
    assert!(unused.iter().all(|right| **right == series), "granted and not used: {unused:?}");
}

fn uninstall_before_crds(platform: &Platform) {
    let _ = platform.cluster.helm(&["uninstall", RELEASE, "--namespace", RELEASE, "--wait"]);
    assert!(platform.kubectl(&["get", "workerpool/shell"]).is_some(), "the worker namespace is kept");
    delete_namespaces(platform);
    delete_crds(platform);
    assert_nothing_left(platform);
}

fn uninstall_after_crds(platform: &Platform) {
    delete_crds(platform);
    let pods = || platform.kubectl(&["get", "deployments,pods", "-o=name"]);
    wait_until(seconds(120), "what the pools had is gone", || pods().is_some_and(|pods| pods.is_empty()));
    let _ = platform.cluster.helm(&["uninstall", RELEASE, "--namespace", RELEASE, "--wait"]);
    delete_namespaces(platform);
    assert_nothing_left(platform);
}

fn delete_crds(platform: &Platform) {
    let _ = platform.cluster.helm(&["uninstall", "trackyard-crds"]);
    let kinds = ["workerpools.trackyard.dev", "containerversions.trackyard.dev"];
    let _ = platform.cluster.kubectl(&["delete", "crd", kinds[0], kinds[1], "--timeout=60s"]);
}

fn delete_namespaces(platform: &Platform) {
    let _ = platform.cluster.kubectl(&["delete", "namespace", WORKER_NAMESPACE, RELEASE, "--timeout=120s"]);
}

fn assert_nothing_left(platform: &Platform) {
    let left = "clusterrole,clusterrolebinding,crd,namespace,pv";
    let left = platform.cluster.kubectl(&["get", left, "-o=name"]);
    assert!(!left.contains("trackyard"), "{left}");
}
