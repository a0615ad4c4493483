//! Shutdown, restart and pauses of the router.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use crate::harness::{Router, until};
use crate::peers::{Worker, ask, dealer, job, receive, verdict};

fn send(client: &zmq::Socket, id: &str) {
    client.send_multipart([b"".to_vec(), job(id).to_string().into_bytes()], 0).unwrap();
}

#[test]
fn first_signal_drains() {
    let router = Router::start();
    let worker = Worker::join(&router, "ruby-1");
    let client = dealer(&router);
    send(&client, "runs");
    let running = worker.job();
    send(&client, "waits");
    until("the second job waits", || router.page("/status.json").1.contains("\"waiting\":1"));

    router.signal(Signal::TERM);
    let (_, waiting) = receive(&client);
    assert_eq!((waiting["context"]["id"].as_str(), verdict(&waiting)), (Some("waits"), (503, "draining")));
    assert!(router.page("/readyz").1.contains("draining"));
    send(&client, "late");
    assert_eq!(verdict(&receive(&client).1), (503, "draining"));

    worker.finish(&running, b"{}", b"{}");
    let (_, done) = receive(&client);
    assert_eq!((done["context"]["id"].as_str(), verdict(&done)), (Some("runs"), (200, "ok")));
    assert!(router.wait().success());
}

#[test]
fn second_signal_stops_at_once() {
    let router = Router::start();
    let worker = Worker::join(&router, "ruby-1");
    let client = dealer(&router);
    send(&client, "runs");
    worker.job();
    router.signal(Signal::TERM);
    router.logged("draining");
    router.signal(Signal::INT);
    assert_eq!(verdict(&receive(&client).1), (503, "draining"));
    assert!(router.wait().success());
}

#[test]
fn restart_keeps_the_ports() {
    let mut router = Router::start();
    let clients = router.clients.clone();
    let workers = router.workers.clone();
    let configure = json!({"action": "configure_worker", "channel": "test_runners"});
    let epoch = ask(&router, &configure)["response"]["epoch"].clone();
    assert_eq!(verdict(&ask(&router, &json!({"action": "restart_router"}))), (200, "ok"));
    router.learn_ports();
    assert_eq!((&router.clients, &router.workers), (&clients, &workers));
    assert_ne!(ask(&router, &configure)["response"]["epoch"], epoch);
    router.wait_ready();
    Worker::join(&router, "ruby-1");
}

#[test]
fn restart_workers_makes_them_bootstrap_again() {
    use trackyard_protocol::worker::{AfterDrain, Drain, FromRouter};
    let router = Router::start();
    let worker = Worker::join(&router, "ruby-1");
    assert_eq!(verdict(&ask(&router, &json!({"action": "restart_workers"}))), (200, "ok"));
    let then = worker.receive(|message| match message {
        FromRouter::Drain(Drain { then }) => Some(then),
        _ => None,
    });
    assert_eq!(then, AfterDrain::Bootstrap);
}

#[test]
fn paused_router_loses_no_worker() {
    let router = Router::start();
    let worker = Worker::join(&router, "ruby-1");
    let client = dealer(&router);
    send(&client, "runs");
    let running = worker.job();
    router.signal(Signal::STOP);
    // The pause is longer than the silence after which a worker is lost.
    let paused = Instant::now();
    let beat = || worker.socket.send_multipart(["Heartbeat", "{\"busy\": 1}"], 0).unwrap();
    while paused.elapsed() < Duration::from_secs(5) {
        beat();
        std::thread::sleep(Duration::from_millis(500));
    }
    router.signal(Signal::CONT);
    until("the pause is noticed", || {
        beat();
        router.metric("trackyard_router_stalls_total") == 1.0
    });
    worker.finish(&running, b"{}", b"{}");
    let (_, done) = receive(&client);
    assert_eq!((verdict(&done), &done["context"]["attempt"]), ((200, "ok"), &json!(1)));
    assert_eq!(router.metric("trackyard_router_dispatch_events_total{event=\"worker_lost\"}"), 0.0);
}
