//! Valid and invalid requests of clients.

use serde_json::{Value, json};

use crate::harness::{OTHER, Router, until};
use crate::peers::{Worker, ask, ask_bytes, at_once, dealer, exchange, job, receive, verdict};

/// Every message that crashed the original platform, and more.
#[test]
fn malformed_message_is_answered() {
    let router = Router::start();
    let deep = "[".repeat(100_000);
    let deep_field = format!("{{\"action\": {deep}");
    let big = format!("{{\"action\": \"{}\"}}", "x".repeat(1 << 20));
    let bodies: &[(&[u8], u64, &str)] = &[
        (b"", 502, "not_json"),
        (b"[]", 502, "not_json"),
        (b"5", 502, "not_json"),
        (b"null", 502, "not_json"),
        (b"\"s\"", 502, "not_json"),
        (b"{", 502, "not_json"),
        (b"{\"action\": \"\xff\"}", 502, "not_json"),
        (b"{\"action\": \"test_solution\", \"id\": \"\xff\"}", 502, "not_json"),
        (b"{}", 502, "missing_fields"),
        (b"{\"action\": 5}", 502, "bad_field"),
        (b"{\"action\": \"dance\"}", 501, "unknown_action"),
        (deep.as_bytes(), 502, "not_json"),
        (deep_field.as_bytes(), 502, "not_json"),
        (big.as_bytes(), 502, "too_large"),
    ];
    for (body, code, reason) in bodies {
        let shown = String::from_utf8_lossy(&body[..body.len().min(40)]).into_owned();
        assert_eq!(verdict(&ask_bytes(&router, body)), (*code, *reason), "{shown}");
        assert_eq!(verdict(&ask(&router, &job("next"))), (503, "no_worker"), "after {shown}");
    }
}

#[test]
fn any_frames_are_answered_along_their_route() {
    let router = Router::start();
    let long = [b'y'; 300];
    let many: Vec<&[u8]> = [vec![b"1".as_slice(); 12], vec![b"", b"{}"]].concat();
    let lists: &[&[&[u8]]] = &[
        &[b"{}"],
        &[b""],
        &[b"", b""],
        &[b"", b"{}", b"{}"],
        &[&long],
        &[&long, b"", b"{}"],
        &many,
        &[b"x".as_slice(); 2000],
    ];
    for frames in lists {
        let (before, answer) = exchange(&router, frames);
        assert_eq!((before, answer["status"]["status_code"].as_u64()), (vec![vec![]], Some(502)));
    }
    let (before, answer) = exchange(&router, &[b"one", b"\x00two", b"", job("7").to_string().as_bytes()]);
    assert_eq!(before, [b"one".to_vec(), b"\x00two".to_vec(), vec![]]);
    assert_eq!(answer["context"]["id"], "7");
}

#[test]
fn unrunnable_job_is_refused_at_once() {
    let router = Router::start();
    let with = |field: &str, value: Value| {
        let mut request = job("1");
        request[field] = value;
        request
    };
    let refused = |request: &Value| at_once(|| ask(&router, request));
    assert_eq!(verdict(&refused(&job("1"))), (503, "no_worker"));
    let answer = refused(&with("container_version", json!(OTHER)));
    assert_eq!(verdict(&answer), (505, "not_deployed"));
    assert_eq!(verdict(&refused(&with("track_slug", json!("zig")))), (502, "unknown_track"));
    assert_eq!(verdict(&refused(&with("execution_timeout", json!(61)))), (400, "bad_timeout"));
    assert_eq!(verdict(&refused(&with("exercise_slug", json!("--help\u{0}")))), (400, "bad_slug"));
}

#[test]
fn result_of_a_worker_is_the_answer() {
    let router = Router::start();
    let worker = Worker::join(&router, "ruby-1");
    let client = dealer(&router);
    for id in ["1", "2", "3"] {
        client.send_multipart([b"".to_vec(), job(id).to_string().into_bytes()], 0).unwrap();
    }
    for _ in 0..3 {
        let job = worker.job();
        let response = json!({"for": job.id}).to_string();
        worker.finish(&job, response.as_bytes(), b"{\"exit_status\": 0}");
        let (_, answer) = receive(&client);
        assert_eq!(verdict(&answer), (200, "ok"));
        assert_eq!(answer["response"]["for"], answer["context"]["id"]);
        assert_eq!(
            (&answer["context"]["worker"], &answer["context"]["exit_status"]),
            (&json!("ruby-1"), &json!(0))
        );
        assert_eq!(answer["context"]["usage"]["wall_ms"], 7);
    }
    let workers = ask(&router, &json!({"action": "describe_workers"}));
    assert_eq!(workers["response"]["workers_info"][0]["name"], "ruby-1");
    let check = json!({"action": "deployment_check", "channel": "test_runners", "track_slug": "ruby"});
    assert!(
        ask(&router, &check)["response"]["status"].as_object().unwrap().values().all(|ready| *ready == true)
    );
}

#[test]
fn malformed_worker_messages_are_counted() {
    let router = Router::start();
    let worker = Worker::join(&router, "ruby-1");
    let garbage: &[&[&[u8]]] = &[
        &[b""],
        &[b"Dance", b"{}"],
        &[b"\xff", b"{}"],
        &[b"Result", b"{}"],
        &[b"Hello", b"[]"],
        &[b"x".as_slice(); 2000],
    ];
    for frames in garbage {
        worker.socket.send_multipart(*frames, 0).unwrap();
    }
    let count = |problem: &str| {
        router.metric(&format!("trackyard_router_messages_malformed_total{{problem=\"{problem}\"}}"))
    };
    until("all messages are counted", || {
        count("unknown_message") == 4.0 && count("frames") == 1.0 && count("json") == 1.0
    });

    let client = dealer(&router);
    client.send_multipart([b"".to_vec(), job("1").to_string().into_bytes()], 0).unwrap();
    worker.finish(&worker.job(), b"{} {}", b"{}");
    assert_eq!(verdict(&receive(&client).1), (510, "internal"));
}

#[test]
fn worker_learns_its_port_from_the_client_port() {
    let router = Router::start();
    let request = json!({"action": "configure_worker", "channel": "test_runners", "topics": ["ruby"]});
    let response = &ask(&router, &request)["response"];
    let port = response["workers_port"].as_u64().unwrap();
    assert!(router.workers.ends_with(&format!(":{port}")));
    assert_eq!((&response["server_key"], response["desired"].as_array().unwrap().len()), (&Value::Null, 1));
}
