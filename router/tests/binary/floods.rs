//! Peers that say nothing, half of it, or too much of it, beside one that behaves. They speak ZMTP 3.0 by hand
//! (<https://rfc.zeromq.org/spec/23/>), because libzmq does none of this.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::harness::{Router, SOON, pinned, until, until_within};
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
    peer.set_read_timeout(Some(SOON)).unwrap();
    peer
}

fn shake_hands(router: &Router) -> TcpStream {
    let mut peer = connect(router);
    peer.write_all(&GREETING).unwrap();
    peer.write_all(READY).unwrap();
    // The other side's greeting, and its word with a socket type of the same length.
    peer.read_exact(&mut [0; GREETING.len()]).unwrap();
    peer.read_exact(&mut [0; 30]).unwrap();
    peer
}

fn others_are_served(router: &Router) {
    assert_eq!(verdict(&ask(router, &job("other"))), (503, "no_worker"));
}

#[test]
fn a_connection_that_says_nothing_is_closed_in_time() {
    let router = Router::start();
    let [mut silent, mut halting] = [(); 2].map(|()| connect(&router));
    halting.write_all(&GREETING[..20]).unwrap();
    for peer in [&mut silent, &mut halting] {
        // What the router says first, and then the end.
        peer.read_to_end(&mut Vec::new()).unwrap();
    }
    let closed = "trackyard_router_connections_closed_total{port=\"clients\",by=\"handshake\"}";
    until("both are counted", || router.metric(closed) >= 2.0);
    others_are_served(&router);
}

#[test]
fn half_a_message_holds_up_nobody() {
    let router = Router::start();
    let mut slow = shake_hands(&router);
    let size = 1_u64 << 20;
    slow.write_all(&[MORE, 0, LONG]).unwrap();
    slow.write_all(&size.to_be_bytes()).unwrap();
    slow.write_all(b"{\"action\":").unwrap();
    others_are_served(&router);
    drop(slow);
    others_are_served(&router);
}

#[test]
fn a_message_of_very_many_frames_is_one_refusal() {
    let router = Router::start();
    let mut wordy = shake_hands(&router);
    let frames = [MORE, 1, b'x'].repeat(100_000);
    wordy.write_all(&frames).unwrap();
    others_are_served(&router);
    wordy.write_all(&[0, 1, b'x']).unwrap();
    let mut answer = Vec::new();
    while !String::from_utf8_lossy(&answer).contains("\"status_code\":502") {
        let mut part = [0; 4096];
        let read = wordy.read(&mut part).unwrap();
        assert_ne!(read, 0, "closed without an answer");
        answer.extend_from_slice(&part[..read]);
    }
    others_are_served(&router);
}

const MEMORY: u64 = 128 << 20;

/// A router that may have so much memory, with a job whose answer of 1 MiB is stored.
fn with_a_large_answer(id: &str) -> Router {
    let config = format!("container_versions: {{test_runners: {{ruby: ['{}']}}}}", pinned());
    let router = Router::start_in(tempfile::tempdir().unwrap(), &config, &["--memory", &MEMORY.to_string()]);
    let worker = Worker::join(&router, "a");
    let client = dealer(&router);
    send_job(&client, id);
    worker.finish(&worker.job(), &serde_json::to_vec(&"x".repeat(1 << 20)).unwrap(), b"{}");
    assert_eq!(verdict(&receive(&client).1), (200, "ok"));
    router
}

/// Asks for an answer again and again, and reads none.
fn ask_deaf(peer: &mut TcpStream, id: &str, times: usize) {
    let request = job(id).to_string().into_bytes();
    let size = u64::try_from(request.len()).unwrap().to_be_bytes();
    let message = [&[MORE, 0, LONG], size.as_slice(), &request].concat();
    peer.write_all(&message.repeat(times)).unwrap();
}

#[test]
fn answers_that_nobody_reads_do_not_fill_the_memory() {
    let router = with_a_large_answer("large");
    let mut deaf = shake_hands(&router);
    ask_deaf(&mut deaf, "large", 1_000);
    until("some are withheld, and it is not read from any more", || {
        router.metric("trackyard_router_answers_shed_total") > 50.0
    });
    assert!(router.resident() < MEMORY, "{}", router.resident());
    others_are_served(&router);
    drop(deaf);
    until("there is room again", || verdict(&ask(&router, &job("large"))) == (200, "ok"));
}

#[test]
fn answers_to_a_flood_of_tiny_messages_do_not_fill_the_memory() {
    let config = format!("container_versions: {{test_runners: {{ruby: ['{}']}}}}", pinned());
    let router = Router::start_in(tempfile::tempdir().unwrap(), &config, &["--memory", &MEMORY.to_string()]);
    let mut deaf: Vec<TcpStream> = (0..32).map(|_| shake_hands(&router)).collect();
    // Messages of one empty frame: each is answered with some hundred bytes.
    let flood = [0; 64 << 10];
    for peer in &mut deaf {
        peer.write_all(&flood).unwrap();
    }
    let answered = "trackyard_router_requests_total{action=\"none\",code=\"502\",reason=\"not_json\"}";
    until("very many are answered", || router.metric(answered) > 100_000.0);
    others_are_served(&router);
    assert!(router.peak() < MEMORY, "{}", router.peak());
}

#[test]
fn a_client_that_reads_nothing_is_ended_after_half_a_minute() {
    let router = with_a_large_answer("large");
    let closed = || router.metric("trackyard_router_connections_closed_total{port=\"clients\",by=\"peer\"}");
    until("the client before it is gone", || closed() > 0.0);
    let mut deaf = shake_hands(&router);
    ask_deaf(&mut deaf, "large", 32);
    until_within(Duration::from_secs(50), "its connection is ended", || closed() > 1.0);
    others_are_served(&router);
}
