//! A router with a key, and who may do what.

use serde_json::{Value, json};
use trackyard_protocol::keys::{Curve, KeyPair};
use trackyard_protocol::worker::FromRouter;

use crate::harness::{OTHER, Router, pinned, until};
use crate::peers::{Worker, ask, job, keyed_socket, receive, verdict};

/// A router with a key, and peers that know it.
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
        let (own, list) = (dir.path().join("router.key"), dir.path().join("allowed"));
        key.write(&own).unwrap();
        let (submits, administers, works) = (submitter.public(), administrator.public(), worker.public());
        let text = format!("submit {submits} website\nadminister {administers}\nwork {works}\n");
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

fn say(client: &zmq::Socket, request: &Value) -> Value {
    client.send_multipart([b"".to_vec(), request.to_string().into_bytes()], 0).unwrap();
    receive(client).1
}

fn welcomed(worker: &Worker) {
    worker.hear(|word| matches!(word, FromRouter::Welcome(_)).then_some(()));
}

fn deploy() -> Value {
    json!({"action": "unload_container_version", "channel": "test_runners", "track_slug": "ruby", "version": OTHER})
}

#[test]
fn only_a_worker_with_an_allowed_key_is_let_in() {
    let keyed = KeyedRouter::start();
    let stranger = KeyPair::generate().unwrap();
    let told =
        ask(&keyed.router, &json!({"action": "configure_worker", "channel": "test_runners", "topics": []}));
    assert_eq!(told["response"]["server_key"], keyed.key.public().as_str());
    let _unknown = Worker::knock(&keyed.router, "unknown", Some(&keyed.curve(&stranger)));
    let _submitter = Worker::knock(&keyed.router, "submitter", Some(&keyed.curve(&keyed.submitter)));
    until("two keys are refused", || keyed.refused("workers") >= 2.0);
    let _plain = Worker::knock(&keyed.router, "plain", None);
    let impostor = Curve { router: stranger.public().clone(), own: keyed.worker.clone() };
    let _misled = Worker::knock(&keyed.router, "misled", Some(&impostor));
    let handshakes = || {
        keyed.router.metric("trackyard_router_connections_closed_total{port=\"workers\",by=\"handshake\"}")
    };
    let before = handshakes();
    until("plain peers and those of another router get no further", || handshakes() > before + 1.0);

    let worker = Worker::knock(&keyed.router, "ruby-1", Some(&keyed.curve(&keyed.worker)));
    welcomed(&worker);
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
fn a_revoked_worker_is_refused_on_its_open_connection_and_its_job_goes_elsewhere() {
    let keyed = KeyedRouter::start();
    let second = KeyPair::generate().unwrap();
    keyed.allow(&format!("work {}\nwork {}\n", keyed.worker.public(), second.public()));
    until("the new key is allowed", || keyed.edits("applied") == 1.0);
    let revoked = Worker::knock(&keyed.router, "ruby-1", Some(&keyed.curve(&keyed.worker)));
    welcomed(&revoked);
    let client = keyed_socket(zmq::DEALER, &keyed.router.clients, None);
    client.send_multipart([b"".to_vec(), job("1").to_string().into_bytes()], 0).unwrap();
    let held = revoked.job();

    keyed.allow(&format!("work {}\n", second.public()));
    until("the first key is revoked", || keyed.edits("applied") == 2.0);
    let other = Worker::knock(&keyed.router, "ruby-2", Some(&keyed.curve(&second)));
    welcomed(&other);
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
fn a_clients_key_says_what_it_may() {
    let keyed = KeyedRouter::start();
    let submitter = keyed.client(&keyed.submitter);
    assert_eq!(verdict(&say(&submitter, &job("1"))), (503, "no_worker"));
    assert_eq!(verdict(&say(&submitter, &deploy())), (506, "forbidden"));
    let administrator = keyed.client(&keyed.administrator);
    assert_eq!(verdict(&say(&administrator, &job("1"))), (503, "no_worker"));
    assert_eq!(verdict(&say(&administrator, &deploy())), (505, "not_deployed"));

    keyed.allow(&format!("# the website is gone\nadminister {}\n", keyed.administrator.public()));
    until("the list is in force", || keyed.edits("applied") == 1.0);
    assert_eq!(verdict(&say(&submitter, &job("2"))), (506, "forbidden"), "on its open connection");
    assert_eq!(verdict(&say(&administrator, &job("2"))), (503, "no_worker"));
    let _again = keyed.client(&keyed.submitter);
    until("a new connection of it is refused", || keyed.refused("keyed_clients") >= 1.0);
}

#[test]
fn a_broken_list_changes_nothing_and_a_restart_keeps_the_port() {
    let mut keyed = KeyedRouter::start();
    keyed.allow("submit nobody\n");
    until("the list is refused", || keyed.edits("refused") == 1.0);
    let administrator = keyed.client(&keyed.administrator);
    assert_eq!(verdict(&say(&administrator, &job("1"))), (503, "no_worker"));
    let before = keyed.router.keyed_clients.clone();
    assert_eq!(verdict(&say(&administrator, &json!({"action": "restart_router"}))), (200, "ok"));
    keyed.router.learn_ports();
    assert_eq!(keyed.router.keyed_clients, before);
    keyed.router.wait_ready();
    assert_eq!(verdict(&say(&keyed.client(&keyed.administrator), &job("2"))), (503, "no_worker"));
}
