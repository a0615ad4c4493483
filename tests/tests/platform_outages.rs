//! An outage of the API server in a real cluster: jobs go on, and the router starts without it.
#![cfg(test)]

use std::time::{Duration, Instant};

use e2e::platform::{Platform, PoolSpec, SHELL};
use e2e::request::{expect, version, with};
use e2e::wait::{seconds, wait_until};
use serde_json::{Value, json};

const OUTAGE: Duration = Duration::from_secs(60);
const SETTLE_TIME: Duration = Duration::from_secs(30);

/// Sends jobs as long as `should_continue` returns true, so that some are always pending. Returns how many were answered.
fn keep_sending(
    platform: &Platform,
    address: &str,
    name: &str,
    mut should_continue: impl FnMut() -> bool,
) -> usize {
    // The submission is stored once, because a worker must not read it while it is written.
    let job = platform.sleeping(name, 2);
    let batch = |number: usize| {
        let jobs = (0..8).map(|n| with(job.clone(), "id", json!(format!("{name}-{number}-{n}"))));
        platform.send_to(address, &jobs.collect::<Vec<Value>>(), None)
    };
    let mut number = 1;
    let mut answered = 0;
    let mut awaited = batch(0);
    loop {
        let last = !should_continue();
        let next = (!last).then(|| batch(number));
        for answer in awaited.answers().values() {
            expect(answer, 200, "ok");
            answered += 1;
        }
        let Some(next) = next else { return answered };
        awaited = next;
        number += 1;
    }
}

#[test]
fn jobs_and_router_start_without_api_server() {
    let platform = Platform::on_local_cluster("stops parts of its cluster");
    platform.apply_pool(&PoolSpec::new("shell", SHELL, "replicas: 2, drainTimeout: 30s").cpu("50m"));
    platform.deploy_shell();
    platform.wait_for("Ready", "workerpool/shell");
    platform.wait_for("Ready", &format!("containerversion/shell-{}", version('a')));
    let address = platform.address();
    jobs_run_without_api_server(&platform, &address);
    router_starts_without_api_server(&platform, &address);
}

fn jobs_run_without_api_server(platform: &Platform, address: &str) {
    let mut stopped = None::<Instant>;
    let mut back = None::<Instant>;
    let answered = keep_sending(platform, address, "away", || match (stopped, back) {
        (None, _) => {
            platform.cluster.fault("stop", "kube-apiserver");
            stopped = Some(Instant::now());
            true
        }
        (Some(since), None) => {
            if since.elapsed() >= OUTAGE {
                assert!(platform.cluster.try_kubectl(&["get", "nodes", "--request-timeout=1s"]).is_none());
                platform.cluster.fault("start", "kube-apiserver");
                back = Some(Instant::now());
            }
            true
        }
        (_, Some(since)) => since.elapsed() < SETTLE_TIME,
    });
    assert!(answered >= 8 * 10, "only {answered} jobs");
    // The operator works again.
    wait_until(seconds(60), "the API server answers", || {
        platform.cluster.try_kubectl(&["get", "nodes"]).is_some()
    });
    assert!(platform.kubectl(&["scale", "workerpool/shell", "--replicas=1"]).is_some());
    platform.wait_for("jsonpath={.status.replicas}=1", "workerpool/shell");
}

fn router_starts_without_api_server(platform: &Platform, address: &str) {
    let router = || platform.cluster.run_on_node(&["busybox", "pidof", "trackyard-router"]);
    let before = router();
    platform.cluster.fault("stop", "kube-apiserver");
    let _ = platform.cluster.run_on_node(&["kill", "-KILL", before.trim()]);
    // Once the kubelet has restarted the router, it learns the version from its workers.
    let jobs: Vec<Value> = (0..20).map(|n| platform.sleeping(&format!("without-{n}"), 1)).collect();
    for answer in platform.send_to(address, &jobs, Some(5)).answers().values() {
        expect(answer, 200, "ok");
    }
    assert_ne!(router(), before);
    let deploy = json!({
        "action": "deploy_container_version", "channel": "test_runners", "track_slug": "python",
        "new_version": platform.example_tag("python-test-runner")
    });
    let asked = |request: &Value| {
        let answers = platform.send_to(address, std::slice::from_ref(request), None).answers();
        answers.into_values().next().unwrap()
    };
    expect(&asked(&deploy), 503, "store_unavailable");
    platform.cluster.fault("start", "kube-apiserver");
    wait_until(seconds(90), "the router deploys again", || asked(&deploy).status.status_code == 200);
    expect(&asked(&platform.sleeping("after", 0)), 200, "ok");
}
