//! Parts of a real cluster and of Trackyard die while jobs run; each job still gets its own answer.
#![cfg(test)]

use e2e::cluster::Cluster;
use e2e::platform::{PendingAnswers, Platform, PoolSpec, RELEASE, SHELL, WORKER_NAMESPACE};
use e2e::request::expect;
use e2e::wait::{seconds, wait_until};
use serde_json::{Value, json};

/// Two pods with four slots each run them in half a minute.
const JOBS: usize = 120;

fn two_workers() -> Platform {
    let platform = Platform::on_local_cluster("stops parts of its cluster");
    platform.apply_pool(&PoolSpec::new("shell", SHELL, "replicas: 2, drainTimeout: 30s").cpu("50m"));
    platform.deploy_shell();
    platform.wait_for("Ready", "workerpool/shell");
    platform.wait_for_status("both workers are there", |status| {
        status["dispatch"]["workers"].as_array().is_some_and(|workers| workers.len() == 2)
    });
    platform
}

/// Sends jobs, disturbs the platform while they run, and expects every answer.
fn run_during(platform: &Platform, fault: &str, again: Option<u32>, disturb: impl FnOnce(&Platform)) {
    let jobs: Vec<Value> = (0..JOBS).map(|n| platform.sleeping(&format!("{fault}-{n}"), 2)).collect();
    let pending: PendingAnswers = platform.send_from_node(&jobs, again);
    wait_until(seconds(30), "all slots are filled", || platform.running_jobs() >= 8);
    disturb(platform);
    let answers = pending.answers();
    assert_eq!(answers.len(), JOBS);
    for (id, answer) in answers {
        assert!(id.starts_with(fault), "{id}");
        expect(&answer, 200, "ok");
    }
}

fn first_pod(platform: &Platform, selector: &str) -> String {
    let name = ["get", "pods", selector, "-o=jsonpath={.items[0].metadata.name}"];
    platform.kubectl(&name).filter(|name| !name.is_empty()).expect("a pod")
}

#[test]
fn workers_pools_and_operators_die_without_losing_jobs() {
    let platform = two_workers();
    run_during(&platform, "deleted-worker", None, |platform| {
        let pod = first_pod(platform, "-l=trackyard.dev/pool=shell");
        assert!(platform.kubectl(&["delete", "pod", &pod, "--wait=false"]).is_some());
    });
    platform.wait_for("Ready", "workerpool/shell");
    run_during(&platform, "killed-worker", None, |platform| {
        let pod = first_pod(platform, "-l=trackyard.dev/pool=shell");
        assert!(
            platform
                .kubectl(&["delete", "pod", &pod, "--wait=false", "--grace-period=0", "--force"])
                .is_some()
        );
    });
    platform.wait_for("Ready", "workerpool/shell");
    run_during(&platform, "evicted", None, |platform| {
        let pod = first_pod(platform, "-l=trackyard.dev/pool=shell");
        let path = format!("/api/v1/namespaces/{WORKER_NAMESPACE}/pods/{pod}/eviction");
        let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": WORKER_NAMESPACE}});
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), eviction.to_string()).unwrap();
        let _ = platform.cluster.kubectl(&["create", "--raw", &path, "-f", file.path().to_str().unwrap()]);
    });
    platform.wait_for("Ready", "workerpool/shell");
    run_during(&platform, "rolled", None, |platform| {
        let more = "replicas: 2, drainTimeout: 30s, template: {labels: {rolled: once}}";
        platform.apply_pool(&PoolSpec::new("shell", SHELL, more).cpu("50m"));
    });
    platform.wait_for("Ready", "workerpool/shell");
    run_during(&platform, "operator", None, |platform| {
        let operator = [
            "delete",
            "pod",
            "--namespace",
            RELEASE,
            "-l=app.kubernetes.io/component=operator",
            "--wait=false",
        ];
        let _ = platform.cluster.kubectl(&operator);
    });
    platform.apply_pool(&PoolSpec::new("other", SHELL, "replicas: 2").cpu("50m"));
    platform.wait_for("Ready", "workerpool/other");
    run_during(&platform, "deleted-pool", None, |platform| {
        assert!(platform.kubectl(&["delete", "workerpool/shell", "--wait=false"]).is_some());
    });
    let left = || platform.kubectl(&["get", "pods", "-l=trackyard.dev/pool=shell", "-o=name"]);
    wait_until(seconds(90), "its pods are gone", || left().is_some_and(|pods| pods.is_empty()));
}

#[test]
fn router_death_loses_no_job() {
    let platform = two_workers();
    run_during(&platform, "router", Some(5), |platform| {
        let router = [
            "delete",
            "pod",
            "--namespace",
            RELEASE,
            "-l=app.kubernetes.io/component=router",
            "--wait=false",
            "--grace-period=0",
            "--force",
        ];
        let _ = platform.cluster.kubectl(&router);
    });
}

#[test]
fn draining_a_node_loses_no_job() {
    let platform = Platform::start();
    // The jobs sleep, so they need little CPU.
    platform
        .apply_pool(&PoolSpec::new("shell", SHELL, "replicas: 2, drainTimeout: 30s").slots(28).cpu("10m"));
    platform.deploy_shell();
    platform.wait_for("Ready", "workerpool/shell");
    platform.wait_for_status("both workers are there", |status| {
        status["dispatch"]["workers"].as_array().is_some_and(|workers| workers.len() == 2)
    });
    let of_pool = ["get", "pods", "--selector=trackyard.dev/pool=shell", "-o=name"];
    let before = platform.kubectl(&of_pool).unwrap();
    let jobs: Vec<Value> = (0..JOBS).map(|n| platform.sleeping(&format!("drained-{n}"), 6)).collect();
    let pending: PendingAnswers = platform.send_from_node(&jobs, None);
    wait_until(seconds(60), "fifty jobs are running", || platform.running_jobs() >= 50);
    drain(&platform.cluster);
    for answer in pending.answers().values() {
        expect(answer, 200, "ok");
    }
    let after = platform.kubectl(&of_pool).unwrap();
    assert_eq!(before.lines().count(), 2);
    assert!(before.lines().all(|pod| !after.contains(pod)), "{before} {after}");
    platform.wait_for("Ready", "workerpool/shell");
}

/// Drains the node as an administrator would: evicts all pods, and tries those again that the budget holds back. The
/// node is uncordoned at once, because it is the only one for the new pods.
fn drain(cluster: &Cluster) {
    let node = cluster.name();
    let drain = [
        "drain",
        node,
        "--pod-selector=trackyard.dev/pool=shell",
        "--delete-emptydir-data",
        "--timeout=240s",
    ];
    let text = std::thread::scope(|threads| {
        let draining = threads.spawn(|| cluster.kubectl(&drain));
        wait_until(seconds(30), "the node takes no pods", || {
            cluster.kubectl(&["get", "node", node, "-o=jsonpath={.spec.unschedulable}"]) == "true"
        });
        let _ = cluster.kubectl(&["uncordon", node]);
        draining.join().unwrap()
    });
    assert_eq!(text.matches(" evicted").count(), 2, "{text}");
}
