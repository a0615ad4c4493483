//! The ports with real peers: those of libzmq, and some that write the protocol by hand to violate it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use trackyard_protocol::keys::{Curve, KeyPair};

use super::*;
use crate::args::Endpoint;
use crate::dispatch::Peer;

const TIMEOUT: Duration = Duration::from_secs(10);
const LIMITS: MemoryLimits = MemoryLimits { partial_messages: 6 << 20, unread: 16 << 20 };
/// A command of 28 bytes.
const READY: &[u8] = b"\x04\x1c\x05READY\x0bSocket-Type\0\0\0\x06DEALER";

/// The greeting of version 3.0, without security, and the command that follows it.
fn greeting() -> Vec<u8> {
    let mut greeting = vec![0; 64];
    (greeting[0], greeting[8], greeting[9], greeting[10]) = (0xff, 1, 0x7f, 3);
    greeting[12..16].copy_from_slice(b"NULL");
    greeting.extend_from_slice(READY);
    greeting
}

/// A received event: the peer, its port and key, and the frames or how the connection ended.
#[derive(Debug, Clone, PartialEq)]
struct Received {
    peer: Peer,
    port: PortKind,
    key: Option<String>,
    result: Result<Vec<Vec<u8>>, CloseReason>,
}

struct PortsHarness {
    ports: Ports,
    events: Vec<Received>,
}

impl PortsHarness {
    fn new() -> Self {
        Self::with(100, None, |_| false)
    }

    fn with(
        max_connections: usize,
        key: Option<&KeyPair>,
        admit: impl Fn(&str) -> bool + Send + 'static,
    ) -> Self {
        let any: Endpoint = "tcp://127.0.0.1:*".parse().unwrap();
        let bind = |kind, key| Port::bind(kind, &any, key, max_connections).unwrap();
        let ports = vec![bind(PortKind::Clients, None), bind(PortKind::Workers, key)];
        let admit: AdmitFn = Box::new(move |_, key| admit(key.as_str()));
        Self { ports: Ports::new(ports, admit, LIMITS).unwrap(), events: Vec::new() }
    }

    fn endpoint(&self, kind: PortKind) -> String {
        self.ports.of(kind).unwrap().endpoint().to_string()
    }

    fn dealer(&self, kind: PortKind, curve: Option<&Curve>) -> zmq::Socket {
        let socket = zmq::Context::new().socket(zmq::DEALER).unwrap();
        socket.set_linger(0).unwrap();
        socket.set_rcvtimeo(10_000).unwrap();
        curve.into_iter().for_each(|curve| curve.apply(&socket).unwrap());
        socket.connect(&self.endpoint(kind)).unwrap();
        socket
    }

    fn raw(&self, kind: PortKind) -> TcpStream {
        let peer = TcpStream::connect(self.endpoint(kind).trim_start_matches("tcp://")).unwrap();
        peer.set_read_timeout(Some(TIMEOUT)).unwrap();
        peer
    }

    /// Connects a peer by hand, completes its handshake and sends one message.
    fn connected(&mut self, kind: PortKind) -> (TcpStream, Peer) {
        let mut peer = self.raw(kind);
        peer.write_all(&[&greeting()[..], b"\0\x05first"].concat()).unwrap();
        (peer, self.message().peer)
    }

    fn poll(&mut self) {
        self.ports.wait(Duration::from_millis(100));
        self.ports.clear_wake();
        let events = &mut self.events;
        let mut on_input = |input: Input<'_>| {
            let (from, result) = match input {
                Input::Message(from, message) => (from, Ok(message.iter().map(<[u8]>::to_vec).collect())),
                Input::Closed(from, reason) => (from, Err(reason)),
            };
            let key = from.key.as_ref().map(ToString::to_string);
            events.push(Received { peer: from.peer, port: from.port, key, result });
        };
        while self.ports.receive_next(&mut on_input).is_some() {}
        self.ports.accept(&mut on_input);
        self.ports.flush(&mut on_input);
    }

    /// Returns the first event that `wanted` accepts; those before it are dropped.
    fn next(&mut self, wanted: impl Fn(&Received) -> bool) -> Received {
        let end = Instant::now() + TIMEOUT;
        while Instant::now() < end {
            if let Some(index) = self.events.iter().position(&wanted) {
                return self.events.drain(..=index).next_back().unwrap();
            }
            self.poll();
        }
        panic!("no such event among {:?}", self.events);
    }

    fn message(&mut self) -> Received {
        self.next(|received| received.result.is_ok())
    }

    fn closed(&mut self) -> (PortKind, CloseReason) {
        let received = self.next(|received| received.result.is_err());
        (received.port, received.result.unwrap_err())
    }

    /// Returns the next message that a peer receives.
    fn sent_to(&mut self, peer: &zmq::Socket) -> Vec<Vec<u8>> {
        let end = Instant::now() + TIMEOUT;
        while Instant::now() < end {
            if let Ok(frames) = peer.recv_multipart(zmq::DONTWAIT) {
                return frames;
            }
            self.poll();
        }
        panic!("nothing was sent");
    }

    /// Polls until `work` is done.
    fn until<T: Send>(&mut self, work: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let work = scope.spawn(work);
            while !work.is_finished() {
                self.poll();
            }
            work.join().unwrap()
        })
    }
}

#[test]
fn messages_and_answers_keep_their_frames() {
    let mut harness = PortsHarness::new();
    let client = harness.dealer(PortKind::Clients, None);
    client.send_multipart(["", "1", &"2".repeat(70_000)], 0).unwrap();
    let received = harness.message();
    let frames: Vec<usize> = received.result.unwrap().iter().map(Vec::len).collect();
    assert_eq!((received.port, received.key, frames), (PortKind::Clients, None, vec![0, 1, 70_000]));
    harness.ports.send(received.peer, &[b"", &[b'x'; 300_000]]).unwrap();
    assert_eq!(harness.sent_to(&client).iter().map(Vec::len).collect::<Vec<_>>(), [0, 300_000]);
}

#[test]
fn wake_ends_the_wait() {
    let mut harness = PortsHarness::new();
    assert_eq!(harness.ports.send(Peer(1), &[b"x"]), Err(SendError::Gone));
    let start = Instant::now();
    harness.ports.waker().wake();
    harness.ports.wait(TIMEOUT);
    assert!(start.elapsed() < TIMEOUT / 2);
}

#[test]
fn port_in_use_is_named() {
    let harness = PortsHarness::new();
    let taken = harness.ports.of(PortKind::Workers).unwrap().endpoint();
    let error = Port::bind(PortKind::Clients, taken, None, 1).err().unwrap();
    assert!(error.to_string().contains(&taken.to_string()), "{error}");
}

#[test]
fn close_reason_is_reported_at_once() {
    let mut harness = PortsHarness::new();
    let polite = harness.dealer(PortKind::Clients, None);
    polite.send("{}", 0).unwrap();
    harness.message();
    drop(polite);
    assert_eq!(harness.closed(), (PortKind::Clients, CloseReason::Peer));

    let big = harness.dealer(PortKind::Clients, None);
    big.send(vec![0_u8; (4 << 20) + 1], 0).unwrap();
    assert_eq!(harness.closed(), (PortKind::Clients, CloseReason::Oversize));
    drop(big);

    let mut endless = harness.raw(PortKind::Clients);
    endless.write_all(&greeting()).unwrap();
    let more = [&[3, 0, 0, 0, 0, 0, 0x10, 0, 0][..], &vec![0; 1 << 20]].concat();
    let end = std::thread::spawn(move || while endless.write_all(&more).is_ok() {});
    assert_eq!(harness.closed(), (PortKind::Clients, CloseReason::Oversize), "a message without an end");
    end.join().unwrap();

    let mut stranger = harness.raw(PortKind::Workers);
    stranger.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    assert_eq!(harness.closed(), (PortKind::Workers, CloseReason::Handshake));

    let mut garbled = harness.raw(PortKind::Workers);
    garbled.write_all(&greeting()).unwrap();
    garbled.write_all(&[0xf0, 0xf0]).unwrap();
    assert_eq!(harness.closed(), (PortKind::Workers, CloseReason::Malformed));
}

#[test]
fn excess_connections_are_closed() {
    // Half of them may come from one address.
    let mut harness = PortsHarness::with(4, None, |_| false);
    let [first, second] = [(); 2].map(|()| harness.dealer(PortKind::Clients, None));
    for client in [&first, &second] {
        client.send("here", 0).unwrap();
        harness.message();
    }
    // It tries again and again by itself.
    let third = harness.dealer(PortKind::Clients, None);
    third.send("there", 0).unwrap();
    assert_eq!(harness.closed(), (PortKind::Clients, CloseReason::TooMany));
    first.send("still here", 0).unwrap();
    assert_eq!(harness.message().result.unwrap(), [b"still here"]);
    drop(second);
    assert_eq!(harness.message().result.unwrap(), [b"there"]);
}

#[test]
fn client_must_read_before_it_is_read_from() {
    let mut harness = PortsHarness::new();
    let (mut lazy, peer) = harness.connected(PortKind::Clients);
    let answer = vec![b'x'; 1 << 20];
    for _ in 0..24 {
        harness.ports.send(peer, &[&answer]).unwrap();
    }
    harness.poll();
    lazy.write_all(b"\0\x06second").unwrap();
    let other = harness.dealer(PortKind::Clients, None);
    other.send("other", 0).unwrap();
    assert_eq!(harness.message().result.unwrap(), [b"other"], "the first client has to read first");
    let read = harness.until(move || {
        let mut answers = vec![0; greeting().len() + 24 * (9 + (1 << 20))];
        lazy.read_exact(&mut answers).map(|()| lazy).unwrap()
    });
    assert!(
        harness.events.iter().any(|received| received.result == Ok(vec![b"second".to_vec()])),
        "{:?}",
        harness.events
    );
    drop(read);
}

#[test]
fn worker_that_does_not_read_is_full() {
    let mut harness = PortsHarness::new();
    let (_lazy, peer) = harness.connected(PortKind::Workers);
    let messages = vec![b'x'; 1 << 20];
    let mut sent = (0..64).map(|_| {
        harness.poll();
        harness.ports.send(peer, &[&messages])
    });
    assert_eq!(sent.find(Result::is_err), Some(Err(SendError::Full)));
    harness.ports.disconnect(peer, &mut |_| {});
    assert_eq!(harness.ports.send(peer, &[b"x"]), Err(SendError::Gone));
}

#[test]
fn partial_messages_are_bounded() {
    let mut harness = PortsHarness::new();
    let half = [&greeting()[..], &[2, 0, 0, 0, 0, 0, 0x3f, 0, 0], &vec![0; 0x3e_0000]].concat();
    let mut peers = [(); 2].map(|()| harness.raw(PortKind::Clients));
    let sent =
        std::thread::spawn(move || (peers.each_mut().map(|peer| peer.write_all(&half).is_ok()), peers));
    assert_eq!(harness.closed(), (PortKind::Clients, CloseReason::Crowded));
    let (sent, _peers) = harness.until(move || sent.join().unwrap());
    assert!(sent[0] && harness.events.is_empty(), "one is enough: {:?}", harness.events);
}

#[test]
fn many_small_partial_messages_are_bounded() {
    let mut harness = PortsHarness::with(1000, None, |_| false);
    let begin = |bytes: usize| [&greeting()[..], &[2, 0, 0, 0, 0, 0, 0x0f, 0, 0], &vec![0; bytes]].concat();
    let mut worker = harness.raw(PortKind::Workers);
    let worker_begins = begin(1 << 19);
    let mut worker = harness.until(move || worker.write_all(&worker_begins).map(|()| worker).unwrap());
    let small = begin(40 << 10);
    let mut peers = Vec::new();
    while !harness.events.iter().any(|received| received.result == Err(CloseReason::Crowded)) {
        assert!(peers.len() < LIMITS.partial_messages / (20 << 10), "no connection is closed");
        let mut peer = harness.raw(PortKind::Clients);
        peer.write_all(&small).unwrap();
        peers.push(peer);
        harness.poll();
    }
    assert_eq!(harness.closed(), (PortKind::Clients, CloseReason::Crowded));
    let rest = vec![0; 0x0f_0000 - (1 << 19)];
    let _worker = harness.until(move || worker.write_all(&rest).map(|()| worker).unwrap());
    assert_eq!(harness.message().port, PortKind::Workers);
}

#[test]
fn many_messages_of_one_read_do_not_starve_others() {
    let mut harness = PortsHarness::new();
    let [(mut many, _), (mut few, _)] = [(); 2].map(|()| harness.connected(PortKind::Clients));
    many.write_all(&b"\0\0".repeat(10_000)).unwrap();
    few.write_all(b"\0\x03few").unwrap();
    let mut taken = 0;
    while taken < 10_001 {
        let received = harness.message();
        taken += 1;
        assert!(
            received.result == Ok(vec![vec![]]) || taken < 10_000,
            "one client starves the others: {received:?}"
        );
    }
    assert!(harness.events.is_empty());
}

#[test]
fn paused_client_resumes_after_its_answers() {
    let mut harness = PortsHarness::new();
    let (_deaf, peer) = harness.connected(PortKind::Clients);
    for _ in 0..24 {
        harness.ports.send(peer, &[&vec![b'x'; 1 << 20]]).unwrap();
    }
    // All of it comes in one read, and is answered before the read is processed to its end.
    let mut other = harness.raw(PortKind::Clients);
    other.write_all(&[&greeting()[..], &b"\0\0".repeat(600)].concat()).unwrap();
    for _ in 0..600 {
        let received = harness.message();
        harness.ports.send(received.peer, &[b"heard"]).unwrap();
    }
}

#[test]
fn workers_and_clients_are_bounded_apart() {
    let mut harness = PortsHarness::with(1000, None, |_| false);
    let partial = |bytes: usize| [&greeting()[..], &[2, 0, 0, 0, 0, 0, 0x3f, 0, 0], &vec![0; bytes]].concat();
    let mut client = harness.raw(PortKind::Clients);
    client.write_all(&partial(1000)).unwrap();
    let mut workers = [(); 2].map(|()| harness.raw(PortKind::Workers));
    let much = partial(0x3e_0000);
    let sent =
        std::thread::spawn(move || (workers.each_mut().map(|it| it.write_all(&much).is_ok()), workers));
    assert_eq!(harness.closed(), (PortKind::Workers, CloseReason::Crowded));
    let _workers = harness.until(move || sent.join().unwrap());
    assert!(harness.events.is_empty(), "{:?}", harness.events);
}

#[test]
fn largest_unread_connection_is_closed() {
    let mut harness = PortsHarness::new();
    let [(_lazy, spared), (_lazier, ended)] = [(); 2].map(|()| harness.connected(PortKind::Clients));
    let answer = vec![b'x'; 1 << 20];
    let mut sent = (0..64).map(|_| {
        harness.poll();
        harness.ports.send(ended, &[&answer])
    });
    assert_eq!(sent.find(Result::is_err), Some(Err(SendError::Gone)));
    assert_eq!(harness.closed(), (PortKind::Clients, CloseReason::Unread));
    assert_eq!(harness.ports.send(spared, &[b"x"]), Ok(()));
}

#[test]
fn key_must_be_proven_and_allowed() {
    let [router, worker, stranger] = [(); 3].map(|()| KeyPair::generate().unwrap());
    let allowed = worker.public().to_string();
    let mut harness = PortsHarness::with(100, Some(&router), move |key| key == allowed);
    let curve = |own: &KeyPair| Curve { router: router.public().clone(), own: own.clone() };
    let refused = harness.dealer(PortKind::Workers, Some(&curve(&stranger)));
    refused.send("no", 0).unwrap();
    assert_eq!(harness.closed(), (PortKind::Workers, CloseReason::Handshake));
    let plain = harness.dealer(PortKind::Workers, None);
    plain.send("no", 0).unwrap();
    assert_eq!(harness.closed(), (PortKind::Workers, CloseReason::Handshake));
    drop((refused, plain));
    let known = harness.dealer(PortKind::Workers, Some(&curve(&worker)));
    known.send("yes", 0).unwrap();
    let received = harness.message();
    assert_eq!(
        (received.result.unwrap(), received.key.as_deref()),
        (vec![b"yes".to_vec()], Some(worker.public().as_str()))
    );
    harness.ports.send(received.peer, &[b"welcome"]).unwrap();
    assert_eq!(harness.sent_to(&known), [b"welcome"]);
}

#[test]
fn queued_answers_are_sent_before_closing() {
    let mut harness = PortsHarness::new();
    let client = harness.dealer(PortKind::Clients, None);
    client.send("{}", 0).unwrap();
    let peer = harness.message().peer;
    let answer = vec![b'x'; 3 << 20];
    for _ in 0..3 {
        harness.ports.send(peer, &[&answer]).unwrap();
    }
    harness.ports.finish(TIMEOUT);
    assert!((0..3).all(|_| client.recv_bytes(0).unwrap().len() == answer.len()));
}
