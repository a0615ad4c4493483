//! Other clients than Rust's: Python's `zmq`, Ruby's `ffi-rzmq`, and raw frames that no honest client sends.
#![cfg(test)]

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use e2e::binaries::system;
use e2e::config::Config;
use e2e::fake_worker::{AutomaticWorker, hello};
use e2e::request::{expect, pinned, test_solution, version, with};
use e2e::router::Router;
use e2e::wait::seconds;
use rstest::rstest;
use serde_json::{Value, json};

fn config() -> Config {
    Config::layout("/nonexistent/images".as_ref()).deployed("test_runners", "ruby", &[&pinned('a')])
}

fn ruby(id: &str) -> Value {
    test_solution(id, "ruby", "file:///srv/submissions/1", &version('a'))
}

fn echo(router: &Router) -> AutomaticWorker {
    AutomaticWorker::start(router, hello("ruby-1", &["ruby"], 8, &[("ruby", &pinned('a'))]), Duration::ZERO)
}

fn script(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients").join(name).display().to_string()
}

fn run(program: &str, package: &str, name: &str, router: &Router) -> Output {
    let request = ruby("from-outside").to_string();
    Command::new(system(program, package))
        .args([&script(name), &router.clients(), &request])
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .output()
        .expect("run the client")
}

#[rstest]
#[case::python("python3", "python3-zmq", "client.py")]
#[case::ruby("ruby", "ruby-ffi-rzmq", "client.rb")]
fn client_in_another_language_is_served(#[case] program: &str, #[case] package: &str, #[case] name: &str) {
    let router = Router::start(&config());
    let _worker = echo(&router);
    let output = run(program, package, name, &router);
    let printed = String::from_utf8_lossy(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}\nif a module is missing, install {package}");
    // Three REQ answers one after another, then a hundred pipelined ones, each matched by its id.
    assert_eq!(printed.trim(), "req 3 dealer 100", "{error}");
}

/// A raw client socket.
struct Raw(zmq::Socket);

impl Raw {
    fn connect(router: &Router) -> Self {
        let socket = zmq::Context::new().socket(zmq::DEALER).unwrap();
        socket.set_linger(0).unwrap();
        socket.connect(&router.clients()).unwrap();
        Self(socket)
    }

    fn send(&self, frames: &[&[u8]]) {
        self.0.send_multipart(frames, 0).unwrap();
    }

    fn receive(&self, wait: Duration) -> Option<Vec<Vec<u8>>> {
        let ready = self.0.poll(zmq::POLLIN, wait.as_millis().try_into().unwrap()).unwrap();
        (ready > 0).then(|| self.0.recv_multipart(0).unwrap())
    }

    fn answer(&self) -> Value {
        let frames = self.receive(seconds(5)).expect("an answer");
        serde_json::from_slice(frames.last().unwrap()).expect("JSON")
    }
}

fn malformed() -> Vec<(&'static str, Vec<Vec<u8>>, u64)> {
    let one = |body: &[u8]| vec![Vec::new(), body.to_vec()];
    let job = |field: &str, value: Value| one(with(ruby("x"), field, value).to_string().as_bytes());
    let deep = format!("{{\"action\":\"test_solution\",\"x\":{}", "[".repeat(100_000));
    vec![
        ("no delimiter", vec![b"{}".to_vec()], 502),
        ("delimiter only", vec![Vec::new()], 502),
        ("two empty frames", vec![Vec::new(), Vec::new()], 502),
        ("two bodies", vec![Vec::new(), b"{}".to_vec(), b"{}".to_vec()], 502),
        ("ten frames of route", [vec![b"hop".to_vec(); 10], one(b"{}")].concat(), 502),
        ("array", one(b"[]"), 502),
        ("number", one(b"5"), 502),
        ("null", one(b"null"), 502),
        ("text", one(b"\"s\""), 502),
        ("empty object", one(b"{}"), 502),
        ("broken", one(b"{\"action\": "), 502),
        ("not UTF-8 in the action", one(b"{\"action\": \"\xff\"}"), 502),
        ("not UTF-8 in the id", one(b"{\"action\": \"test_solution\", \"id\": \"\xff\"}"), 502),
        ("over 1Mi", one(format!("{{\"x\": \"{}\"}}", "x".repeat(1 << 20)).as_bytes()), 502),
        ("depth 100,000", one(deep.as_bytes()), 502),
        ("unknown action", one(b"{\"action\": \"dance\"}"), 501),
        ("missing field", one(b"{\"action\": \"test_solution\", \"id\": \"1\"}"), 502),
        ("wrong type of id", job("id", json!(5)), 502),
        ("wrong type of fresh", job("fresh", json!("yes")), 502),
        ("slug with ..", job("track_slug", json!("../../etc")), 400),
        ("slug with /", job("exercise_slug", json!("a/b")), 400),
        ("slug with NUL", job("exercise_slug", json!("a\u{0}b")), 400),
        ("slug like a flag", job("exercise_slug", json!("--help")), 400),
        ("slug of 4 KB", job("exercise_slug", json!("a".repeat(4096))), 400),
        ("id with a line break", job("id", json!("a\nb")), 400),
        ("version with ..", job("container_version", json!("git-../..")), 400),
        ("time-out of text", job("execution_timeout", json!("5; rm -rf /")), 400),
        ("time-out of -1", job("execution_timeout", json!(-1)), 400),
        ("time-out of 0", job("execution_timeout", json!(0)), 400),
        ("time-out of 61", job("execution_timeout", json!(61)), 400),
        ("time-out of 1e9", job("execution_timeout", json!(1e9)), 400),
        ("time-out of 1.5", job("execution_timeout", json!(1.5)), 400),
        ("another scheme", job("s3_uri", json!("http://169.254.169.254/latest")), 400),
        ("URI with ..", job("s3_uri", json!("s3://bucket/a/../b")), 400),
    ]
}

#[test]
fn malformed_requests_are_answered() {
    let router = Router::start(&config());
    let _worker = echo(&router);
    let raw = Raw::connect(&router);
    for (number, (what, frames, code)) in malformed().into_iter().enumerate() {
        let frames: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
        raw.send(&frames);
        let answer = raw.answer();
        assert_eq!(answer["status"]["status_code"], code, "{what}: {answer}");
        assert_eq!(answer["status"]["ok"], false, "{what}");
        let good = ruby(&format!("good-{number}")).to_string();
        raw.send(&[b"", good.as_bytes()]);
        assert_eq!(raw.answer()["status"]["status_code"], 200, "after {what}");
    }
}

#[test]
fn refusal_names_field_and_echoes_id() {
    let router = Router::start(&config());
    let answer = router.ask(&with(ruby("mine"), "execution_timeout", json!("soon")));
    expect(&answer, 400, "bad_timeout");
    assert!(answer.status.message.contains("execution_timeout"), "{}", answer.status.message);
    assert_eq!(answer.context["id"], "mine");
    let mut request = ruby("mine");
    request.as_object_mut().unwrap().remove("s3_uri");
    let answer = router.ask(&request);
    expect(&answer, 502, "missing_fields");
    assert!(answer.status.message.contains("s3_uri"), "{}", answer.status.message);
}

#[test]
fn unknown_fields_are_ignored() {
    let router = Router::start(&config());
    let _worker = echo(&router);
    expect(&router.ask(&with(ruby("1"), "colour", json!({"deep": [1, 2]}))), 200, "ok");
}

#[test]
fn message_over_4mi_closes_only_its_connection() {
    let router = Router::start(&config());
    let _worker = echo(&router);
    let raw = Raw::connect(&router);
    let big = vec![b'x'; (4 << 20) + 1];
    raw.send(&[b"", &big]);
    assert!(raw.receive(seconds(1)).is_none(), "an answer to what is too large to read");
    expect(&router.ask(&ruby("1")), 200, "ok");
    // The same socket reconnects by itself.
    raw.send(&[b"", ruby("2").to_string().as_bytes()]);
    assert_eq!(raw.answer()["status"]["status_code"], 200);
    let metrics = router.metrics();
    let counted = metrics.lines().any(|line| line.contains("too_large") || line.contains("oversize"));
    assert!(counted, "no counter for a closed connection:\n{metrics}");
}

#[test]
fn routing_frames_are_returned_unchanged() {
    let router = Router::start(&config());
    let _worker = echo(&router);
    let raw = Raw::connect(&router);
    let long = vec![b'h'; 255];
    let hops: Vec<&[u8]> = vec![b"one", b"\x00\xff", &long, b"4", b"5", b"6", b"7", b"8"];
    let body = ruby("1").to_string();
    raw.send(&[&hops[..], &[b"", body.as_bytes()]].concat());
    let frames = raw.receive(seconds(5)).unwrap();
    assert_eq!(frames[..8].iter().map(Vec::as_slice).collect::<Vec<_>>(), hops);
    assert!(frames[8].is_empty());
    let answer: Value = serde_json::from_slice(&frames[9]).unwrap();
    assert_eq!(answer["status"]["status_code"], 200);
}
