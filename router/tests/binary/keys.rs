//! A router with a key, and the rights of its peers.

use serde_json::{Value, json};
use trackyard_protocol::keys::{Curve, KeyPair};
use trackyard_protocol::worker::FromRouter;

use crate::harness::{OTHER, Router, pinned, until};
use crate::peers::{Worker, ask, job, keyed_socket, receive, verdict};

/// A router with a key, and the keys of its peers.
struct KeyedRouter {
    router: Router,
    key: KeyPair,
    submitter: KeyPair,
    administrator: KeyPair,
    worker: KeyPair,
}

impl KeyedRouter {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let [key, submitter, administrator, worker] = [(); 4].map(|()| KeyPair::generate().unwrap());
        let own = dir.path().join("router.key");
        let list = dir.path().join("allowed");
        key.write(&own).unwrap();
        let text = format!(
            "submit {} website\nadminister {}\nwork {}\n",
            submitter.public(),
            administrator.public(),
            worker.public()
        );
        std::fs::write(&list, text).unwrap();
        let flags = ["--key", own.to_str().unwrap(), "--allowed", list.to_str().unwrap()];
        let config = format!("container_versions: {{test_runners: {{ruby: ['{}']}}}}", pinned());
        let flags = [flags.as_slice(), &["--keyed-clients", "tcp://127.0.0.1:*"]].concat();
        let router = Router::start_in(dir, &config, &flags);
        Self { router, key, submitter, administrator, worker }
    }

    fn curve(&self, own: &KeyPair) -> Curve {
        Curve { router: self.key.public().clone(), own: own.clone() }
    }

    fn client(&self, own: &KeyPair) -> zmq::Socket {
        keyed_socket(zmq::DEALER, &self.router.keyed_clients, Some(&self.curve(own)))
    }

    fn allow(&self, text: &str) {
        std::fs::write(self.router.dir.path().join("allowed"), text).unwrap();
    }

    fn refused(&self, port: &str) -> f64 {
        self.router.metric(&format!("trackyard_router_keys_refused_total{{port=\"{port}\"}}"))
    }

    fn edits(&self, outcome: &str) -> f64 {
        self.router.metric(&format!("trackyard_router_allowed_edits_total{{outcome=\"{outcome}\"}}"))
    }
}

fn send(client: &zmq::Socket, request: &Value) -> Value {
    client.send_multipart([b"".to_vec(), request.to_string().into_bytes()], 0).unwrap();
    receive(client).1
}

fn expect_welcome(worker: &Worker) {
    worker.receive(|message| matches!(message, FromRouter::Welcome(_)).then_some(()));
}

fn deploy() -> Value {
    json!({"action": "unload_container_version", "channel": "test_runners", "track_slug": "ruby", "version": OTHER})
}

#[test]
fn worker_needs_an_allowed_key() {
    let keyed = KeyedRouter::start();
    let stranger = KeyPair::generate().unwrap();
    let configured =
        ask(&keyed.router, &json!({"action": "configure_worker", "channel": "test_runners", "topics": []}));
    assert_eq!(configured["response"]["server_key"], keyed.key.public().as_str());
    let _unknown = Worker::connect(&keyed.router, "unknown", Some(&keyed.curve(&stranger)));
    let _submitter = Worker::connect(&keyed.router, "submitter", Some(&keyed.curve(&keyed.submitter)));
    until("two keys are refused", || keyed.refused("workers") >= 2.0);
    let _plain = Worker::connect(&keyed.router, "plain", None);
    let impostor = Curve { router: stranger.public().clone(), own: keyed.worker.clone() };
    let _misled = Worker::connect(&keyed.router, "misled", Some(&impostor));
    let handshakes = || {
        keyed.router.metric("trackyard_router_connections_closed_total{port=\"workers\",by=\"handshake\"}")
    };
    let before = handshakes();
    until("plain peers and those of another router fail the handshake", || handshakes() > before + 1.0);

    let worker = Worker::connect(&keyed.router, "ruby-1", Some(&keyed.curve(&keyed.worker)));
    expect_welcome(&worker);
    let workers = ask(&keyed.router, &json!({"action": "describe_workers"}));
    let names: Vec<&Value> = workers["response"]["workers_info"]
        .as_array()
        .unwrap()
        .iter()
        .map(|worker| &worker["name"])
        .collect();
    assert_eq!(names, ["ruby-1"]);
}

#[test]
fn revoked_worker_is_refused_and_its_job_moves() {
    let keyed = KeyedRouter::start();
    let second = KeyPair::generate().unwrap();
    keyed.allow(&format!("work {}\nwork {}\n", keyed.worker.public(), second.public()));
    until("the new key is allowed", || keyed.edits("applied") == 1.0);
    let revoked = Worker::connect(&keyed.router, "ruby-1", Some(&keyed.curve(&keyed.worker)));
    expect_welcome(&revoked);
    let client = keyed_socket(zmq::DEALER, &keyed.router.clients, None);
    client.send_multipart([b"".to_vec(), job("1").to_string().into_bytes()], 0).unwrap();
    let held = revoked.job();

    keyed.allow(&format!("work {}\n", second.public()));
    until("the first key is revoked", || keyed.edits("applied") == 2.0);
    let other = Worker::connect(&keyed.router, "ruby-2", Some(&keyed.curve(&second)));
    expect_welcome(&other);
    revoked.finish(&held, b"{\"from\": \"a stolen key\"}", b"{}");
    let again = other.job();
    other.finish(&again, b"{\"from\": \"a good one\"}", b"{}");
    let answer = receive(&client).1;
    assert_eq!((verdict(&answer), &answer["response"]["from"]), ((200, "ok"), &json!("a good one")));
    assert!(keyed.refused("workers") >= 1.0);
    let ended = "trackyard_router_connections_closed_total{port=\"workers\",by=\"ended\"}";
    until("its connection is ended", || keyed.router.metric(ended) >= 1.0);
}

#[test]
fn client_key_gives_its_role() {
    let keyed = KeyedRouter::start();
    let submitter = keyed.client(&keyed.submitter);
    assert_eq!(verdict(&send(&submitter, &job("1"))), (503, "no_worker"));
    assert_eq!(verdict(&send(&submitter, &deploy())), (506, "forbidden"));
    let administrator = keyed.client(&keyed.administrator);
    assert_eq!(verdict(&send(&administrator, &job("1"))), (503, "no_worker"));
    assert_eq!(verdict(&send(&administrator, &deploy())), (505, "not_deployed"));

    keyed.allow(&format!("# the website is gone\nadminister {}\n", keyed.administrator.public()));
    until("the list is in force", || keyed.edits("applied") == 1.0);
    assert_eq!(verdict(&send(&submitter, &job("2"))), (506, "forbidden"), "on its open connection");
    assert_eq!(verdict(&send(&administrator, &job("2"))), (503, "no_worker"));
    let _again = keyed.client(&keyed.submitter);
    until("a new connection of it is refused", || keyed.refused("keyed_clients") >= 1.0);
}

#[test]
fn invalid_list_changes_nothing() {
    let mut keyed = KeyedRouter::start();
    keyed.allow("submit nobody\n");
    until("the list is refused", || keyed.edits("refused") == 1.0);
    let administrator = keyed.client(&keyed.administrator);
    assert_eq!(verdict(&send(&administrator, &job("1"))), (503, "no_worker"));
    let before = keyed.router.keyed_clients.clone();
    assert_eq!(verdict(&send(&administrator, &json!({"action": "restart_router"}))), (200, "ok"));
    keyed.router.learn_ports();
    assert_eq!(keyed.router.keyed_clients, before);
    keyed.router.wait_ready();
    assert_eq!(verdict(&send(&keyed.client(&keyed.administrator), &job("2"))), (503, "no_worker"));
}
