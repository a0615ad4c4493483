//! An installation's life in a real cluster: changes, a second one beside it, its end.
#![cfg(test)]

use std::path::Path;

use e2e::platform::{Platform, RELEASE, SHELL, YARD};
use e2e::request::expect;
use e2e::wait::{seconds, wait_until};
use serde_json::Value;

/// The version of an object: it changes with every write.
fn written(platform: &Platform, what: &[&str]) -> String {
    platform.cluster.kubectl(&[&["get", "-o=jsonpath={.metadata.resourceVersion}"][..], what].concat())
}

#[test]
fn an_installation_changes_stands_beside_another_and_leaves_nothing() {
    let platform = Platform::start();
    platform.pool("shell", SHELL, "replicas: 1");
    platform.deploy_shell();
    platform.wait_for("Ready", "workerpool/shell");
    platform.wait_for("Ready", "containerversion/shell-git-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    expect(&platform.ask(&platform.sleeping("before", 0)), 200, "ok");

    at_rest_nothing_is_written(&platform);
    a_changed_configuration_needs_no_restart(&platform);
    another_installation_sees_nothing_of_the_first(&platform);
    nobody_was_forbidden_anything(&platform);
    all_of_it_goes_without_its_operator(&platform);
}

fn at_rest_nothing_is_written(platform: &Platform) {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/trackyard/samples");
    let (pool, version) = (sample.join("workerpool-generic.yaml"), sample.join("containerversion.yaml"));
    let files: Vec<&str> = [&pool, &version].map(|file| file.to_str().unwrap()).to_vec();
    let named = ["-f", files[0], "-f", files[1], "--namespace", YARD];
    let _ = platform.cluster.kubectl(&[&["apply"][..], &named].concat());
    platform.wait_for("Ready", "workerpool/any");
    platform.wait_for("condition=Deployed=False", "containerversion/ruby");
    let objects: [&[&str]; 4] = [
        &["workerpool/shell", "--namespace", YARD],
        &["deployment/any-workers", "--namespace", YARD],
        &["workerpool/any", "--namespace", YARD],
        &["containerversion/ruby", "--namespace", YARD],
    ];
    let before: Vec<String> = objects.iter().map(|object| written(platform, object)).collect();
    let _ = platform.cluster.kubectl(&[&["apply"][..], &named].concat());
    // A diff is an exit code of 1, and this would panic.
    let _ = platform.cluster.kubectl(&[&["diff"][..], &named].concat());
    let _ = platform.cluster.kubectl(&["annotate", "workerpool/shell", "looked=at", "--namespace", YARD]);
    wait_until(seconds(20), "the operator has looked again", || {
        let pools = platform.cluster.kubectl(&[
            "get",
            "workerpool/shell",
            "-o=jsonpath={.metadata.annotations.looked}",
            "--namespace",
            YARD,
        ]);
        pools == "at"
    });
    let after: Vec<String> = objects.iter().skip(1).map(|object| written(platform, object)).collect();
    assert_eq!(before[1..], after, "something was written at rest");
    let _ = platform.cluster.kubectl(&[&["delete"][..], &named].concat());
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
    let _ = platform.cluster.kubectl(&["delete", "namespace", "other", "other-yard", "--timeout=60s"]);
}

fn nobody_was_forbidden_anything(platform: &Platform) {
    for part in ["router", "operator"] {
        let deployment = format!("deployment/{RELEASE}-{part}");
        let log = platform.cluster.kubectl(&["logs", &deployment, "--namespace", RELEASE]);
        assert!(!log.contains("forbidden"), "{log}");
    }
}

fn all_of_it_goes_without_its_operator(platform: &Platform) {
    let _ = platform.cluster.helm(&["uninstall", RELEASE, "--namespace", RELEASE, "--wait"]);
    assert!(platform.yard(&["get", "workerpool/shell"]).is_some(), "the yard is kept");
    let _ = platform.cluster.kubectl(&["delete", "namespace", YARD, RELEASE, "--timeout=120s"]);
    let _ = platform.cluster.helm(&["uninstall", "kinds"]);
    let kinds = ["workerpools.trackyard.dev", "containerversions.trackyard.dev"];
    let _ = platform.cluster.kubectl(&["delete", "crd", kinds[0], kinds[1], "--timeout=60s"]);
    let left = "clusterrole,clusterrolebinding,crd,namespace,pv";
    let left = platform.cluster.kubectl(&["get", left, "-o=name"]);
    assert!(!left.contains("trackyard"), "{left}");
}
