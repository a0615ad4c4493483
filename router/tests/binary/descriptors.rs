//! A router without a free file descriptor for another connection.

use rustix::process::{Resource, Rlimit, getrlimit};
use serde_json::Value;

use crate::harness::Router;
use crate::peers::{dealer, receive, send_job, verdict};

fn assert_served(client: &zmq::Socket, id: &str) {
    send_job(client, id);
    assert_no_worker(&receive(client).1);
}

fn assert_no_worker(answer: &Value) {
    assert_eq!(verdict(answer), (503, "no_worker"));
}

#[test]
fn new_connections_wait_for_free_descriptors() {
    let router = Router::start();
    let early = dealer(&router);
    assert_served(&early, "before");

    let none_left = Rlimit { current: Some(0), maximum: getrlimit(Resource::Nofile).maximum };
    let before = router.limit_descriptors(none_left);
    let late = dealer(&router);
    send_job(&late, "late");
    router.logged("cannot accept connections");
    assert_served(&early, "meanwhile");

    router.limit_descriptors(before);
    assert_no_worker(&receive(&late).1);
}
