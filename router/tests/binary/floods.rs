//! Peers that send nothing, a part of a message, or too much, beside one that behaves. They write ZMTP 3.0 by hand
//! (<https://rfc.zeromq.org/spec/23/>), because libzmq does none of this.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::harness::{Router, TIMEOUT, pinned, until, until_within};
use crate::peers::{Worker, ask, dealer, job, receive, send_job, verdict};

/// Version 3.0, without security.
const GREETING: [u8; 64] = {
    let mut greeting = [0; 64];
    (greeting[0], greeting[8], greeting[9], greeting[10]) = (0xff, 1, 0x7f, 3);
    (greeting[12], greeting[13], greeting[14], greeting[15]) = (b'N', b'U', b'L', b'L');
    greeting
};
/// A command of 28 bytes.
const READY: &[u8] = b"\x04\x1c\x05READY\x0bSocket-Type\0\0\0\x06DEALER";
const MORE: u8 = 1;
const LONG: u8 = 2;

fn connect(router: &Router) -> TcpStream {
    let peer = TcpStream::connect(router.clients.trim_start_matches("tcp://")).unwrap();
    peer.set_read_timeout(Some(TIMEOUT)).unwrap();
    peer
}

fn handshake(router: &Router) -> TcpStream {
    let mut peer = connect(router);
    peer.write_all(&GREETING).unwrap();
    peer.write_all(READY).unwrap();
    // The router's greeting, and its READY with a socket type of the same length.
    peer.read_exact(&mut [0; GREETING.len()]).unwrap();
    peer.read_exact(&mut [0; 30]).unwrap();
    peer
}

fn others_are_served(router: &Router) {
    assert_eq!(verdict(&ask(router, &job("other"))), (503, "no_worker"));
}

#[test]
fn late_handshake_is_closed() {
    let router = Router::start();
    let [mut silent, mut slow] = [(); 2].map(|()| connect(&router));
    slow.write_all(&GREETING[..20]).unwrap();
    for peer in [&mut silent, &mut slow] {
        // The router's greeting, then the end of the connection.
        peer.read_to_end(&mut Vec::new()).unwrap();
    }
    let closed = "trackyard_router_connections_closed_total{port=\"clients\",by=\"handshake\"}";
    until("both are counted", || router.metric(closed) >= 2.0);
    others_are_served(&router);
}

#[test]
fn partial_message_delays_no_others() {
    let router = Router::start();
    let mut slow = handshake(&router);
    let size = 1_u64 << 20;
    slow.write_all(&[MORE, 0, LONG]).unwrap();
    slow.write_all(&size.to_be_bytes()).unwrap();
    slow.write_all(b"{\"action\":").unwrap();
    others_are_served(&router);
    drop(slow);
    others_are_served(&router);
}

#[test]
fn message_of_many_frames_is_refused_once() {
    let router = Router::start();
    let mut client = handshake(&router);
    let frames = [MORE, 1, b'x'].repeat(100_000);
    client.write_all(&frames).unwrap();
    others_are_served(&router);
    client.write_all(&[0, 1, b'x']).unwrap();
    let mut answer = Vec::new();
    while !String::from_utf8_lossy(&answer).contains("\"status_code\":502") {
        let mut part = [0; 4096];
        let read = client.read(&mut part).unwrap();
        assert_ne!(read, 0, "closed without an answer");
        answer.extend_from_slice(&part[..read]);
    }
    others_are_served(&router);
}

const MEMORY: u64 = 128 << 20;

/// Starts a router that may use `MEMORY` bytes, and stores an answer of 1 MiB in it.
fn router_with_large_answer(id: &str) -> Router {
    let config = format!("container_versions: {{test_runners: {{ruby: ['{}']}}}}", pinned());
    let router = Router::start_in(tempfile::tempdir().unwrap(), &config, &["--memory", &MEMORY.to_string()]);
    let worker = Worker::join(&router, "a");
    let client = dealer(&router);
    send_job(&client, id);
    worker.finish(&worker.job(), &serde_json::to_vec(&"x".repeat(1 << 20)).unwrap(), b"{}");
    assert_eq!(verdict(&receive(&client).1), (200, "ok"));
    router
}

/// Asks for an answer `times` times, and reads none.
fn ask_without_reading(peer: &mut TcpStream, id: &str, times: usize) {
    let request = job(id).to_string().into_bytes();
    let size = u64::try_from(request.len()).unwrap().to_be_bytes();
    let message = [&[MORE, 0, LONG], size.as_slice(), &request].concat();
    peer.write_all(&message.repeat(times)).unwrap();
}

#[test]
fn unread_answers_are_bounded() {
    let router = router_with_large_answer("large");
    let mut client = handshake(&router);
    ask_without_reading(&mut client, "large", 1_000);
    until("some are shed, and the client is not read from any more", || {
        router.metric("trackyard_router_answers_shed_total") > 50.0
    });
    assert!(router.resident() < MEMORY, "{}", router.resident());
    others_are_served(&router);
    drop(client);
    until("there is room again", || verdict(&ask(&router, &job("large"))) == (200, "ok"));
}

#[test]
fn answers_to_tiny_messages_are_bounded() {
    let config = format!("container_versions: {{test_runners: {{ruby: ['{}']}}}}", pinned());
    let router = Router::start_in(tempfile::tempdir().unwrap(), &config, &["--memory", &MEMORY.to_string()]);
    let mut client: Vec<TcpStream> = (0..32).map(|_| handshake(&router)).collect();
    // Messages of one empty frame: each is answered with some hundred bytes.
    let flood = [0; 64 << 10];
    for peer in &mut client {
        peer.write_all(&flood).unwrap();
    }
    let answered = "trackyard_router_requests_total{action=\"none\",code=\"502\",reason=\"not_json\"}";
    until("very many are answered", || router.metric(answered) > 100_000.0);
    others_are_served(&router);
    assert!(router.peak() < MEMORY, "{}", router.peak());
}

#[test]
fn client_that_never_reads_is_disconnected() {
    let router = router_with_large_answer("large");
    let closed = || router.metric("trackyard_router_connections_closed_total{port=\"clients\",by=\"peer\"}");
    until("the client before it is gone", || closed() > 0.0);
    let mut client = handshake(&router);
    ask_without_reading(&mut client, "large", 32);
    until_within(Duration::from_secs(50), "its connection is ended", || closed() > 1.0);
    others_are_served(&router);
}
