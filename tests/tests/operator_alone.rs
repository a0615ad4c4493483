//! The operator with a real API server and nothing else, so that no pod ever starts.
#![cfg(test)]

use std::fs;
use std::path::Path;
use std::process::Command;

use e2e::binaries::binary;
use e2e::control_plane::{CRDS, ControlPlane};
use e2e::http::{self, Page};
use e2e::ports::free_port;
use e2e::process::Process;
use e2e::router::Router;
use e2e::wait::{seconds, wait_for, wait_until};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use trackyard_crds::generate::definitions;
use trackyard_protocol::keys::KeyPair;

const RESOURCES: &str = "/apis/trackyard.dev/v1alpha1/namespaces/workers";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/workers/deployments";

struct Operator {
    process: Process,
    port: u16,
    _dir: TempDir,
}

impl Operator {
    fn start(plane: &ControlPlane, more: &[&str]) -> Self {
        let dir = TempDir::new().unwrap();
        let port = free_port();
        let mut command = Command::new(binary("trackyard-operator"));
        command.env("KUBECONFIG", plane.kubeconfig()).args(["--namespace", "workers"]);
        command.args(["--router", "tcp://router:5555", "--agent-image", "agent:1"]);
        command.args(["--admin", &format!("127.0.0.1:{port}")]).args(more);
        let process = Process::spawn("operator", &mut command, &dir.path().join("log"));
        Self { process, port, _dir: dir }
    }

    fn page(&self, path: &str) -> Page {
        wait_for(seconds(20), "the operator answers", || http::get(self.port, path))
    }

    fn wait_ready(&self) {
        wait_until(seconds(30), "the operator is ready", || http::is_ready(self.port));
    }

    /// Returns the value of a metric.
    fn metric(&self, name: &str) -> Option<f64> {
        let page = self.page("/metrics").body;
        page.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
    }

    fn log(&self) -> Vec<Value> {
        self.process.log().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}

fn plane() -> ControlPlane {
    let plane = ControlPlane::start();
    let namespace = json!({"metadata": {"name": "workers"}});
    assert_eq!(plane.send(&Method::POST, "/api/v1/namespaces", &namespace).0, 201);
    plane
}

fn create(plane: &ControlPlane, plural: &str, kind: &str, name: &str, spec: &Value) -> u16 {
    let object = json!({
        "apiVersion": "trackyard.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec
    });
    plane.send(&Method::POST, &format!("{RESOURCES}/{plural}"), &object).0
}

fn create_pool(plane: &ControlPlane, name: &str) {
    let spec = json!({"channel": "test_runners", "topics": ["ruby"]});
    assert_eq!(create(plane, "workerpools", "WorkerPool", name, &spec), 201);
}

fn wait_for_deployment(plane: &ControlPlane, pool: &str) {
    let path = format!("{DEPLOYMENTS}/{pool}-workers");
    wait_until(seconds(20), "the pool has its Deployment", || {
        plane.send(&Method::GET, &path, &Value::Null).0 == 200
    });
}

#[test]
fn operator_waits_for_missing_crds() {
    let plane = plane();
    let mut operator = Operator::start(&plane, &[]);
    let wait_for_message = |kinds: &str| {
        let message = format!(
            "crds: cannot find the CRDs of {kinds} (trackyard.dev/v1alpha1) in the API server; install"
        );
        wait_until(seconds(30), &message, || operator.page("/readyz").body.contains(&message));
    };
    wait_for_message("WorkerPool and ContainerVersion");
    let mut kinds = definitions();
    kinds.sort_by_key(|kind| kind.metadata.name.clone());
    let [versions, pools] = kinds.as_slice() else { panic!("there are other kinds") };
    plane.install(&json!(versions));
    wait_for_message("WorkerPool");
    plane.install(&json!(pools));
    operator.wait_ready();
    create_pool(&plane, "ruby");
    wait_for_deployment(&plane, "ruby");
    assert!(operator.process.is_running());
    let logged = operator.log().iter().filter(|line| line["message"] == "waiting for the CRDs").count();
    assert_eq!(logged, 2, "one line for each wait: {}", operator.process.log());
}

#[test]
fn silent_api_server_fails_liveness() {
    let plane = plane();
    plane.install_crds();
    let operator = Operator::start(&plane, &["--watch-seconds=8"]);
    operator.wait_ready();
    let age = || operator.metric(r#"trackyard_operator_watch_idle_seconds{kind="WorkerPool"}"#).unwrap();
    for again in 1..=2 {
        let mut oldest = age();
        wait_until(seconds(30), &format!("the watch begins again, {again}"), || {
            assert_eq!(operator.page("/livez").status, 200);
            let now = age();
            let younger = now < oldest;
            oldest = oldest.max(now);
            younger
        });
    }
    plane.freeze();
    let dead = wait_for(seconds(60), "the silence is noticed", || {
        Some(operator.page("/livez")).filter(|page| page.status == 503)
    });
    assert!(dead.body.contains("has been silent for "), "{dead:?}");
    let all =
        ["ContainerVersion", "Deployment", "Pod", "PodDisruptionBudget", "ServiceAccount", "WorkerPool"];
    wait_until(seconds(30), "all kinds are named", || {
        let body = operator.page("/livez").body;
        all.iter().all(|kind| body.contains(&format!("the watch of {kind} has been silent for ")))
    });
    plane.thaw();
    wait_until(seconds(90), "the operator is live again", || operator.page("/livez").status == 200);
    create_pool(&plane, "ruby");
    wait_for_deployment(&plane, "ruby");
}

#[test]
fn slow_first_list_delays_no_pool_further() {
    let plane = plane();
    plane.install_crds();
    let names = ["python", "ruby", "rust"];
    names.iter().for_each(|name| create_pool(&plane, name));
    // Other accounts, whose list takes much longer than that of the pools.
    let long = "x".repeat(100 << 10);
    for number in 0..500 {
        let account = json!({"metadata": {"name": format!("a{number}"), "annotations": {"long": long}}});
        assert_eq!(plane.send(&Method::POST, "/api/v1/namespaces/workers/serviceaccounts", &account).0, 201);
    }
    let operator = Operator::start(&plane, &[]);
    operator.wait_ready();
    names.iter().for_each(|name| wait_for_deployment(&plane, name));
}

/// Creates the Secrets with the keys of router, worker and operator.
fn create_secrets(plane: &ControlPlane, router: &KeyPair, operator: &KeyPair) {
    let worker = KeyPair::generate().unwrap();
    let keys = json!({
        "router.key": router.text(), "worker.key": worker.text(), "operator.key": operator.text(), "allowed": "",
    });
    for (name, data) in [("keys", keys), ("worker", json!({}))] {
        let secret = json!({"metadata": {"name": name}, "stringData": data});
        assert_eq!(plane.send(&Method::POST, "/api/v1/namespaces/workers/secrets", &secret).0, 201);
    }
}

/// Starts a router whose list of allowed keys is empty.
fn exclusive_router(dir: &Path, key: &KeyPair, keyed: &str) -> Router {
    key.write(&dir.join("router")).unwrap();
    fs::write(dir.join("allowed"), "").unwrap();
    let file = |name: &str| dir.join(name).display().to_string();
    let flags = ["--key", &file("router"), "--allowed", &file("allowed"), "--keyed-clients", keyed];
    let mut router = Router::launch("{}", &flags);
    router.wait_ready();
    router
}

#[test]
fn builds_start_once_router_allows_operators_key() {
    let plane = plane();
    plane.install_crds();
    let [router_key, operator_key] = [(); 2].map(|()| KeyPair::generate().unwrap());
    create_secrets(&plane, &router_key, &operator_key);
    let dir = TempDir::new().unwrap();
    let keyed = format!("tcp://127.0.0.1:{}", free_port());
    let router = exclusive_router(dir.path(), &router_key, &keyed);
    let keys = ["--keys=workers/keys", "--worker-key=worker", "--keys-given", "--router-keyed", &keyed];
    let operator = Operator::start(&plane, &keys);
    operator.wait_ready();
    let version = json!({"channel": "test_runners", "track": "ruby", "gitReference": "main"});
    assert_eq!(create(&plane, "containerversions", "ContainerVersion", "main", &version), 201);
    let refused = "trackyard_router_keys_refused_total{port=\"keyed_clients\"}";
    wait_until(seconds(30), "the operator's key is refused", || {
        router.metrics().lines().any(|line| line.starts_with(refused) && !line.ends_with(" 0"))
    });
    fs::write(dir.path().join("allowed"), format!("administer {} operator\n", operator_key.public()))
        .unwrap();
    let path = format!("{RESOURCES}/containerversions/main");
    wait_until(seconds(60), "the status shows the router's answer", || {
        let object = plane.send(&Method::GET, &path, &Value::Null).1;
        let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.iter().any(|one| one["type"] == "Built" && one["reason"] == "Postponed")
    });
}

/// Replaces a CRD's schema by one without rules, as if objects had been stored before the rules existed.
fn allow_any_content(plane: &ControlPlane, plural: &str) {
    let path = format!("{CRDS}/{plural}.trackyard.dev");
    let (_, mut kind) = plane.send(&Method::GET, &path, &Value::Null);
    let any = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let version = &mut kind["spec"]["versions"][0];
    version["schema"]["openAPIV3Schema"] = any;
    // Selectable fields must be in the schema.
    version.as_object_mut().unwrap().remove("selectableFields");
    let (code, answer) = plane.send(&Method::PUT, &path, &kind);
    assert_eq!(code, 200, "{answer:#}");
}

const RESOURCE_KINDS: [(&str, &str); 2] =
    [("workerpools", "WorkerPool"), ("containerversions", "ContainerVersion")];

#[test]
fn unreadable_object_blocks_no_other() {
    let plane = plane();
    plane.install_crds();
    let malformed = |name: &str| {
        for (plural, kind) in RESOURCE_KINDS {
            wait_until(seconds(30), "the API server accepts any content", || {
                create(&plane, plural, kind, name, &json!({"channel": 5})) == 201
            });
        }
    };
    RESOURCE_KINDS.iter().for_each(|(plural, _)| allow_any_content(&plane, plural));
    malformed("listed");
    let operator = Operator::start(&plane, &[]);
    operator.wait_ready();
    malformed("watched");
    create_pool(&plane, "fine");
    wait_for_deployment(&plane, "fine");
    let version =
        json!({"channel": "test_runners", "track": "ruby", "version": format!("git-{}", "a".repeat(40))});
    assert_eq!(create(&plane, "containerversions", "ContainerVersion", "fine", &version), 201);
    let path = format!("{RESOURCES}/containerversions/fine");
    wait_until(seconds(20), "the version has a condition", || {
        plane.send(&Method::GET, &path, &Value::Null).1["status"]["conditions"][0]["reason"]
            == "RouterUnreachable"
    });
    for (_, kind) in RESOURCE_KINDS {
        let metric = format!(r#"trackyard_operator_unreadable_objects_total{{kind="{kind}"}}"#);
        wait_until(seconds(20), &metric, || operator.metric(&metric).is_some_and(|count| count >= 2.0));
        for name in ["listed", "watched"] {
            let log = operator.log();
            let is_it = |line: &&Value| line["kind"] == kind && line["name"] == name;
            let line = log.iter().find(is_it).unwrap_or_else(|| panic!("{kind} {name} is not in the log"));
            assert_eq!(line["message"], "cannot decode the object; it is ignored");
        }
    }
}

#[test]
fn failing_pool_backs_off_alone() {
    let plane = plane();
    plane.install_crds();
    let operator = Operator::start(&plane, &[]);
    operator.wait_ready();
    // Another account has the name of a child.
    let taken = json!({"metadata": {"name": "taken-workers"}});
    let accounts = "/api/v1/namespaces/workers/serviceaccounts";
    assert_eq!(plane.send(&Method::POST, accounts, &taken).0, 201);
    create_pool(&plane, "taken");
    let delays = || -> Vec<String> {
        let log = operator.log();
        let failed = log.iter().filter(|line| line["pool"] == "taken" && line["reason"] == "NameConflict");
        failed.map(|line| line["delay"].as_str().unwrap().to_owned()).collect()
    };
    wait_until(seconds(30), "the pool is tried three times", || delays().len() >= 3);
    assert_eq!(delays()[..3], ["1s", "2s", "4s"]);
    create_pool(&plane, "fine");
    wait_for_deployment(&plane, "fine");
    let failures = r#"trackyard_operator_reconcile_failures_total{kind="WorkerPool",reason="NameConflict"}"#;
    assert!(operator.metric(failures).unwrap() >= 3.0);
    let missing = r#"trackyard_operator_pool_missing_pods{pool="fine"}"#;
    wait_until(seconds(10), "the metric counts the missing pod", || operator.metric(missing) == Some(1.0));
    assert!(operator.metric("trackyard_operator_leader ").is_some_and(|leads| (leads - 1.0).abs() < 0.1));
}
