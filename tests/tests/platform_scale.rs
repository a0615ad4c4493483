//! Scaling of pools, and deployment of versions, in a real cluster.
#![cfg(test)]

use e2e::platform::{Platform, PoolSpec, SHELL, WORKER_NAMESPACE};
use e2e::request::{expect, version};
use e2e::wait::{seconds, wait_until};
use serde_json::{Value, json};

const NAME: &str = "test-runners-shell-git-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

fn replicas(platform: &Platform) -> String {
    platform.kubectl(&["get", "deployment/shell-workers", "-o=jsonpath={.spec.replicas}"]).unwrap_or_default()
}

#[test]
fn pool_scales_up_from_zero_and_back() {
    let platform = Platform::start();
    platform.apply_pool(&PoolSpec::new(
        "shell",
        SHELL,
        "autoscale: {min: 0, max: 2, targetQueueAge: 2s, scaleDownAfter: 5s}",
    ));
    platform.deploy_shell();
    platform.wait_for("Ready", "workerpool/shell");
    assert_eq!(replicas(&platform), "0");
    // Without workers no worker lacks the version.
    platform.wait_for("Ready", "containerversion/shell-git-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    let jobs: Vec<Value> = (0..24).map(|n| platform.sleeping(&format!("job-{n}"), 2)).collect();
    for (id, answer) in platform.ask_all(&jobs) {
        expect(&answer, 200, "ok");
        assert_eq!(serde_json::to_value(&answer.context).unwrap()["attempt"], 1, "{id}");
    }
    assert_eq!(replicas(&platform), "2", "it scaled by what waited");
    wait_until(seconds(60), "the pool has no pods again", || replicas(&platform) == "0");
    platform.wait_for(
        "jsonpath={.status.conditions[?(@.type==\"Ready\")].reason}=ScaledToZero",
        "workerpool/shell",
    );

    let events = [
        "get",
        "events",
        "--field-selector=involvedObject.name=shell",
        "-o=jsonpath={range .items[*]}{.reason} {.message}{'\\n'}{end}",
    ];
    let events = platform.kubectl(&events).unwrap();
    assert!(
        events.contains("ScaledUp scaled from 0 to ") && events.contains("ScaledDown scaled from 2 to "),
        "{events}"
    );
    assert!(events.contains("Ready became ready"), "{events}");

    // A pool without autoscaling is scaled manually.
    platform.apply_pool(&PoolSpec::new("hand", "other", "replicas: 0"));
    platform.wait_for("Ready", "workerpool/hand");
    assert!(platform.kubectl(&["scale", "workerpool/hand", "--replicas=1"]).is_some());
    platform.wait_for("jsonpath={.status.readyReplicas}=1", "workerpool/hand");
}

#[test]
fn versions_are_deployed_by_resource_and_by_client() {
    let platform = Platform::start();
    platform.apply_pool(&PoolSpec::new("shell", SHELL, "replicas: 1"));
    platform.wait_for("Ready", "workerpool/shell");
    let change = |action: &str, field: &str, tag: String| {
        let place = json!({"action": action, "channel": "test_runners", "track_slug": SHELL});
        let mut request = place;
        request[field] = json!(tag);
        platform.ask(&request)
    };
    let deploy = |tag| change("deploy_container_version", "new_version", tag);
    let unload = |tag| change("unload_container_version", "version", tag);

    // A version without an image is refused before a resource is created.
    expect(&deploy(version('b')), 400, "bad_version");
    expect(&deploy(version('a')), 200, "ok");
    let resource = format!("containerversion/{NAME}");
    platform.wait_for("Ready", &resource);
    let found = platform.kubectl(&["get", &resource, "-o=json"]).unwrap();
    let found: Value = serde_json::from_str(&found).unwrap();
    assert_eq!(found["metadata"]["labels"]["trackyard.dev/made-by"], "router");
    assert_eq!(found["status"]["workers"], json!({"ready": 1, "total": 1}));
    let image = format!("{}/shell-test-runner@sha256:", platform.registry.location());
    assert!(found["status"]["image"].as_str().unwrap().starts_with(&image));
    expect(&platform.ask(&platform.sleeping("deployed", 0)), 200, "ok");
    expect(&unload(version('a')), 200, "ok");
    assert_eq!(platform.kubectl(&["get", &resource]), None);
    expect(&platform.ask(&platform.sleeping("unloaded", 0)), 502, "unknown_track");

    // A resource that another manager owns is not removed.
    platform.deploy_shell();
    platform.wait_for("Ready", "containerversion/shell-git-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    let refused = unload(version('a'));
    expect(&refused, 506, "forbidden");
    let theirs =
        "shell-git-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa, which kubectl-client-side-apply manages";
    assert!(refused.status.message.contains(theirs), "{:?}", refused.status);
    let name = format!("shell-{}", version('a'));
    assert!(platform.kubectl(&["delete", "containerversion", &name]).is_some());
    wait_until(seconds(20), "the version is unloaded", || {
        platform.ask(&platform.sleeping("gone", 0)).status.status_code == 502
    });

    // A missing image shows in the conditions, and is looked up again.
    platform.deploy(SHELL, &version('c'));
    let resource = format!("containerversion/shell-{}", version('c'));
    platform.wait_for("condition=Deployed=False", &resource);
    let text = platform.kubectl(&[
        "get",
        &resource,
        "-o=jsonpath={.status.conditions[?(@.type==\"Ready\")].message}",
    ]);
    assert!(text.unwrap().contains("the image cannot be looked up"), "in {WORKER_NAMESPACE}");
}
