//! An installation's life in a real cluster: changes, a second one beside it, its end.
#![cfg(test)]

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use e2e::audit;
use e2e::platform::{Platform, PoolSpec, RELEASE, SHELL, WORKER_NAMESPACE};
use e2e::request::{expect, with};
use e2e::wait::{seconds, wait_until};
use serde_json::{Value, json};

/// Jobs during which nothing is asked of the API server.
const JOBS: usize = 1000;
/// For so long nothing is written when nothing changes.
const REST: Duration = Duration::from_secs(300);

/// The version of an object: it changes with every write.
fn written(platform: &Platform, what: &[&str]) -> String {
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

    let said = platform.cluster.helm(&["test", RELEASE, "--namespace", RELEASE]);
    assert!(said.contains("Phase:          Succeeded"), "{said}");
    a_changed_configuration_needs_no_restart(&platform);
    another_installation_sees_nothing_of_the_first(&platform);
    jobs_ask_nothing_of_the_api_server(&platform);
    what_is_granted_is_used_and_no_more_is_asked(&platform);
    all_of_it_goes_without_its_operator(&platform);
}

#[test]
fn idle_installation_writes_nothing() {
    let platform = &Platform::start();
    platform.apply_pool(&PoolSpec::new("shell", SHELL, "replicas: 1"));
    platform.wait_for("Ready", "workerpool/shell");
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/trackyard/samples");
    let (pool, version) = (sample.join("workerpool-generic.yaml"), sample.join("containerversion.yaml"));
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
    let before: Vec<String> = objects.iter().map(|object| written(platform, object)).collect();
    let _ = platform.cluster.kubectl(&[&["apply"][..], &named].concat());
    // A diff is an exit code of 1, and this would panic.
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
    while since.elapsed() < REST {
        let after: Vec<String> = objects.iter().skip(1).map(|object| written(platform, object)).collect();
        assert_eq!(before[1..], after, "something was written at rest, after {:?}", since.elapsed());
        std::thread::sleep(seconds(10));
    }
    let _ = platform.cluster.kubectl(&[&["diff"][..], &named].concat());
    all_of_it_goes_after_its_kinds(platform);
}

fn a_changed_configuration_needs_no_restart(platform: &Platform) {
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
    // The kubelet takes up to a minute to bring a ConfigMap to its pod.
    wait_until(seconds(120), "the router has read the change", || {
        asked += 1;
        platform.ask(&platform.sleeping(&format!("too-long-{asked}"), 3)).status.reason.as_deref()
            == Some("wall_time")
    });
    assert_eq!(pod(), before);
}

fn another_installation_sees_nothing_of_the_first(platform: &Platform) {
    platform.install_another("other");
    let path = "/api/v1/namespaces/other/services/other-trackyard-router:admin/proxy/status.json";
    let status: Value = serde_json::from_str(&platform.cluster.kubectl(&["get", "--raw", path])).unwrap();
    assert_eq!(status["dispatch"]["workers"], serde_json::json!([]));
    assert_eq!(status["config"]["container_versions"], serde_json::json!({}));
    let _ = platform.cluster.helm(&["uninstall", "other", "--namespace", "other", "--wait"]);
    let _ = platform.cluster.kubectl(&["delete", "namespace", "other", "other-workers", "--timeout=60s"]);
}

fn jobs_ask_nothing_of_the_api_server(platform: &Platform) {
    let others = || {
        let all = audit::api_requests(&platform.cluster, RELEASE);
        all.into_iter().filter(|asked| asked.right.1 != "leases" && asked.right.2 != "watch").count()
    };
    let before = others();
    let jobs: Vec<Value> = (0..JOBS).map(|n| platform.sleeping(&format!("counted-{n}"), 0)).collect();
    // As many as a queue's longest wait has room for.
    for some in jobs.chunks(100) {
        platform.ask_all(some).values().for_each(|answer| expect(answer, 200, "ok"));
    }
    assert_eq!(others(), before, "{JOBS} jobs have asked the API server");
}

fn what_is_granted_is_used_and_no_more_is_asked(platform: &Platform) {
    // What has not been done yet: a deploy and an unload by a client, a smaller pool.
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
    // To apply what is not there yet needs both, and is told as one.
    let created = used.iter().filter(|right| right.2 == "patch");
    let created: Vec<_> =
        created.map(|(who, what, _)| (who.clone(), what.clone(), "create".to_owned())).collect();
    used.extend(created);
    let granted = audit::granted(&platform.cluster, RELEASE);
    let unused: Vec<_> = granted.difference(&used).collect();
    // The same event again within minutes is counted up, which nothing here has made happen.
    let series = ("trackyard-operator".to_owned(), "events".to_owned(), "patch".to_owned());
    assert!(unused.iter().all(|right| **right == series), "granted and not used: {unused:?}");
}

fn all_of_it_goes_without_its_operator(platform: &Platform) {
    let _ = platform.cluster.helm(&["uninstall", RELEASE, "--namespace", RELEASE, "--wait"]);
    assert!(platform.kubectl(&["get", "workerpool/shell"]).is_some(), "the worker namespace is kept");
    the_namespaces_go(platform);
    the_kinds_go(platform);
    nothing_is_left(platform);
}

fn all_of_it_goes_after_its_kinds(platform: &Platform) {
    the_kinds_go(platform);
    let pods = || platform.kubectl(&["get", "deployments,pods", "-o=name"]);
    wait_until(seconds(120), "what the pools had is gone", || pods().is_some_and(|pods| pods.is_empty()));
    let _ = platform.cluster.helm(&["uninstall", RELEASE, "--namespace", RELEASE, "--wait"]);
    the_namespaces_go(platform);
    nothing_is_left(platform);
}

fn the_kinds_go(platform: &Platform) {
    let _ = platform.cluster.helm(&["uninstall", "trackyard-crds"]);
    let kinds = ["workerpools.trackyard.dev", "containerversions.trackyard.dev"];
    let _ = platform.cluster.kubectl(&["delete", "crd", kinds[0], kinds[1], "--timeout=60s"]);
}

fn the_namespaces_go(platform: &Platform) {
    let _ = platform.cluster.kubectl(&["delete", "namespace", WORKER_NAMESPACE, RELEASE, "--timeout=120s"]);
}

fn nothing_is_left(platform: &Platform) {
    let left = "clusterrole,clusterrolebinding,crd,namespace,pv";
    let left = platform.cluster.kubectl(&["get", left, "-o=name"]);
    assert!(!left.contains("trackyard"), "{left}");
}
