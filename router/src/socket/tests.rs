//! The ports with real peers: libzmq's, and some that speak the protocol by hand to break it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use trackyard_protocol::keys::{Curve, KeyPair};

use super::*;
use crate::args::Endpoint;
use crate::dispatch::Peer;

const SOON: Duration = Duration::from_secs(10);
const BOUNDS: Bounds = Bounds { begun: 6 << 20, unread: 16 << 20 };
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

/// What came: from whom, by which port, with which key, and the frames or how it ended.
#[derive(Debug, Clone, PartialEq)]
struct Came {
    peer: Peer,
    port: PortKind,
    key: Option<String>,
    what: Result<Vec<Vec<u8>>, Closed>,
}

struct Bench {
    ports: Ports,
    came: Vec<Came>,
}

impl Bench {
    fn new() -> Self {
        Self::with(100, None, |_| false)
    }

    fn with(most: usize, key: Option<&KeyPair>, admits: impl Fn(&str) -> bool + Send + 'static) -> Self {
        let any: Endpoint = "tcp://127.0.0.1:*".parse().unwrap();
        let bind = |kind, key| Port::bind(kind, &any, key, most).unwrap();
        let ports = vec![bind(PortKind::Clients, None), bind(PortKind::Workers, key)];
        let admits: Admits = Box::new(move |_, key| admits(key.as_str()));
        Self { ports: Ports::new(ports, admits, BOUNDS).unwrap(), came: Vec::new() }
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
        peer.set_read_timeout(Some(SOON)).unwrap();
        peer
    }

    /// A peer by hand that has shaken hands and said one word.
    fn known(&mut self, kind: PortKind) -> (TcpStream, Peer) {
        let mut peer = self.raw(kind);
        peer.write_all(&[&greeting()[..], b"\0\x05first"].concat()).unwrap();
        (peer, self.message().peer)
    }

    fn turn(&mut self) {
        self.ports.wait(Duration::from_millis(100));
        self.ports.heed_waker();
        let came = &mut self.came;
        let mut take = |input: Input<'_>| {
            let (from, what) = match input {
                Input::Message(from, message) => (from, Ok(message.iter().map(<[u8]>::to_vec).collect())),
                Input::Closed(from, how) => (from, Err(how)),
            };
            let key = from.key.as_ref().map(ToString::to_string);
            came.push(Came { peer: from.peer, port: from.port, key, what });
        };
        while self.ports.take(&mut take).is_some() {}
        self.ports.receive_new(&mut take);
        self.ports.flush(&mut take);
    }

    /// The first that came which `wanted` takes; what came before it is let go.
    fn next(&mut self, wanted: impl Fn(&Came) -> bool) -> Came {
        let end = Instant::now() + SOON;
        while Instant::now() < end {
            if let Some(index) = self.came.iter().position(&wanted) {
                return self.came.drain(..=index).next_back().unwrap();
            }
            self.turn();
        }
        panic!("it did not come; what came: {:?}", self.came);
    }

    fn message(&mut self) -> Came {
        self.next(|came| came.what.is_ok())
    }

    fn closed(&mut self) -> (PortKind, Closed) {
        let came = self.next(|came| came.what.is_err());
        (came.port, came.what.unwrap_err())
    }

    /// What a peer is sent.
    fn sent_to(&mut self, peer: &zmq::Socket) -> Vec<Vec<u8>> {
        let end = Instant::now() + SOON;
        while Instant::now() < end {
            if let Ok(frames) = peer.recv_multipart(zmq::DONTWAIT) {
                return frames;
            }
            self.turn();
        }
        panic!("nothing was sent");
    }

    /// Turns until the work is done.
    fn until<T: Send>(&mut self, work: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let work = scope.spawn(work);
            while !work.is_finished() {
                self.turn();
            }
            work.join().unwrap()
        })
    }
}

#[test]
fn messages_come_with_all_their_frames_and_answers_go_back() {
    let mut bench = Bench::new();
    let client = bench.dealer(PortKind::Clients, None);
    client.send_multipart(["", "1", &"2".repeat(70_000)], 0).unwrap();
    let came = bench.message();
    let frames: Vec<usize> = came.what.unwrap().iter().map(Vec::len).collect();
    assert_eq!((came.port, came.key, frames), (PortKind::Clients, None, vec![0, 1, 70_000]));
    bench.ports.send(came.peer, &[b"", &[b'x'; 300_000]]).unwrap();
    assert_eq!(bench.sent_to(&client).iter().map(Vec::len).collect::<Vec<_>>(), [0, 300_000]);
}

#[test]
fn a_peer_that_is_gone_is_named_and_a_wake_ends_the_wait() {
    let mut bench = Bench::new();
    assert_eq!(bench.ports.send(Peer(1), &[b"x"]), Err(SendError::Gone));
    let start = Instant::now();
    bench.ports.waker().wake();
    bench.ports.wait(SOON);
    assert!(start.elapsed() < SOON / 2);
}

#[test]
fn a_port_in_use_is_named() {
    let bench = Bench::new();
    let taken = bench.ports.of(PortKind::Workers).unwrap().endpoint();
    let error = Port::bind(PortKind::Clients, taken, None, 1).err().unwrap();
    assert!(error.to_string().contains(&taken.to_string()), "{error}");
}

#[test]
fn it_is_told_at_once_who_ended_a_connection_and_why() {
    let mut bench = Bench::new();
    let polite = bench.dealer(PortKind::Clients, None);
    polite.send("{}", 0).unwrap();
    bench.message();
    drop(polite);
    assert_eq!(bench.closed(), (PortKind::Clients, Closed::Peer));

    let big = bench.dealer(PortKind::Clients, None);
    big.send(vec![0_u8; (4 << 20) + 1], 0).unwrap();
    assert_eq!(bench.closed(), (PortKind::Clients, Closed::Oversize));
    drop(big);

    let mut endless = bench.raw(PortKind::Clients);
    endless.write_all(&greeting()).unwrap();
    let more = [&[3, 0, 0, 0, 0, 0, 0x10, 0, 0][..], &vec![0; 1 << 20]].concat();
    let end = std::thread::spawn(move || while endless.write_all(&more).is_ok() {});
    assert_eq!(bench.closed(), (PortKind::Clients, Closed::Oversize), "of a message that never ends");
    end.join().unwrap();

    let mut stranger = bench.raw(PortKind::Workers);
    stranger.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    assert_eq!(bench.closed(), (PortKind::Workers, Closed::Handshake));

    let mut garbled = bench.raw(PortKind::Workers);
    garbled.write_all(&greeting()).unwrap();
    garbled.write_all(&[0xf0, 0xf0]).unwrap();
    assert_eq!(bench.closed(), (PortKind::Workers, Closed::Malformed));
}

#[test]
fn connections_beyond_the_bound_are_closed_until_others_leave() {
    // Half of them may come from one address.
    let mut bench = Bench::with(4, None, |_| false);
    let [first, second] = [(); 2].map(|()| bench.dealer(PortKind::Clients, None));
    for who in [&first, &second] {
        who.send("here", 0).unwrap();
        bench.message();
    }
    // It tries again and again by itself.
    let third = bench.dealer(PortKind::Clients, None);
    third.send("there", 0).unwrap();
    assert_eq!(bench.closed(), (PortKind::Clients, Closed::TooMany));
    first.send("still here", 0).unwrap();
    assert_eq!(bench.message().what.unwrap(), [b"still here"]);
    drop(second);
    assert_eq!(bench.message().what.unwrap(), [b"there"]);
}

#[test]
fn a_client_that_does_not_read_is_not_read_from_and_gets_everything_once_it_does() {
    let mut bench = Bench::new();
    let (mut lazy, peer) = bench.known(PortKind::Clients);
    let answer = vec![b'x'; 1 << 20];
    for _ in 0..24 {
        bench.ports.send(peer, &[&answer]).unwrap();
    }
    bench.turn();
    lazy.write_all(b"\0\x06second").unwrap();
    let other = bench.dealer(PortKind::Clients, None);
    other.send("other", 0).unwrap();
    assert_eq!(bench.message().what.unwrap(), [b"other"], "the first has to read before it is heard again");
    let read = bench.until(move || {
        let mut answers = vec![0; greeting().len() + 24 * (9 + (1 << 20))];
        lazy.read_exact(&mut answers).map(|()| lazy).unwrap()
    });
    assert!(bench.came.iter().any(|came| came.what == Ok(vec![b"second".to_vec()])), "{:?}", bench.came);
    drop(read);
}

#[test]
fn a_worker_that_does_not_read_takes_nothing_more() {
    let mut bench = Bench::new();
    let (_lazy, peer) = bench.known(PortKind::Workers);
    let words = vec![b'x'; 1 << 20];
    let mut sent = (0..64).map(|_| {
        bench.turn();
        bench.ports.send(peer, &[&words])
    });
    assert_eq!(sent.find(Result::is_err), Some(Err(SendError::Full)));
    bench.ports.end(peer, &mut |_| {});
    assert_eq!(bench.ports.send(peer, &[b"x"]), Err(SendError::Gone));
}

#[test]
fn what_is_begun_and_never_ended_does_not_fill_the_memory() {
    let mut bench = Bench::new();
    let half = [&greeting()[..], &[2, 0, 0, 0, 0, 0, 0x3f, 0, 0], &vec![0; 0x3e_0000]].concat();
    let mut peers = [(); 2].map(|()| bench.raw(PortKind::Clients));
    let sent =
        std::thread::spawn(move || (peers.each_mut().map(|peer| peer.write_all(&half).is_ok()), peers));
    assert_eq!(bench.closed(), (PortKind::Clients, Closed::Crowded));
    let (sent, _peers) = bench.until(move || sent.join().unwrap());
    assert!(sent[0] && bench.came.is_empty(), "one is enough: {:?}", bench.came);
}

#[test]
fn many_small_beginnings_do_not_fill_the_memory_either_and_a_worker_is_spared() {
    let mut bench = Bench::with(1000, None, |_| false);
    let begin = |bytes: usize| [&greeting()[..], &[2, 0, 0, 0, 0, 0, 0x0f, 0, 0], &vec![0; bytes]].concat();
    let mut worker = bench.raw(PortKind::Workers);
    let worker_begins = begin(1 << 19);
    let mut worker = bench.until(move || worker.write_all(&worker_begins).map(|()| worker).unwrap());
    let (small, mut peers) = (begin(40 << 10), Vec::new());
    while !bench.came.iter().any(|came| came.what == Err(Closed::Crowded)) {
        assert!(peers.len() < BOUNDS.begun / (20 << 10), "nobody is closed");
        let mut peer = bench.raw(PortKind::Clients);
        peer.write_all(&small).unwrap();
        peers.push(peer);
        bench.turn();
    }
    assert_eq!(bench.closed(), (PortKind::Clients, Closed::Crowded));
    let rest = vec![0; 0x0f_0000 - (1 << 19)];
    let _worker = bench.until(move || worker.write_all(&rest).map(|()| worker).unwrap());
    assert_eq!(bench.message().port, PortKind::Workers);
}

#[test]
fn many_messages_of_one_read_are_taken_in_turn_with_others_and_none_is_lost() {
    let mut bench = Bench::new();
    let [(mut many, _), (mut few, _)] = [(); 2].map(|()| bench.known(PortKind::Clients));
    many.write_all(&b"\0\0".repeat(10_000)).unwrap();
    few.write_all(b"\0\x03few").unwrap();
    let mut taken = 0;
    while taken < 10_001 {
        let came = bench.message();
        taken += 1;
        assert!(came.what == Ok(vec![vec![]]) || taken < 10_000, "the others wait for all of one: {came:?}");
    }
    assert!(bench.came.is_empty());
}

#[test]
fn a_paused_client_goes_on_once_its_answers_have_left() {
    let mut bench = Bench::new();
    let (_deaf, peer) = bench.known(PortKind::Clients);
    for _ in 0..24 {
        bench.ports.send(peer, &[&vec![b'x'; 1 << 20]]).unwrap();
    }
    // With what is said first, all of it comes in one read; it is answered before it is heard to its end.
    let mut other = bench.raw(PortKind::Clients);
    other.write_all(&[&greeting()[..], &b"\0\0".repeat(600)].concat()).unwrap();
    for _ in 0..600 {
        let came = bench.message();
        bench.ports.send(came.peer, &[b"heard"]).unwrap();
    }
}

#[test]
fn what_a_worker_holds_is_not_laid_to_clients() {
    let mut bench = Bench::with(1000, None, |_| false);
    let begun = |bytes: usize| [&greeting()[..], &[2, 0, 0, 0, 0, 0, 0x3f, 0, 0], &vec![0; bytes]].concat();
    let mut client = bench.raw(PortKind::Clients);
    client.write_all(&begun(1000)).unwrap();
    let mut workers = [(); 2].map(|()| bench.raw(PortKind::Workers));
    let much = begun(0x3e_0000);
    let sent =
        std::thread::spawn(move || (workers.each_mut().map(|it| it.write_all(&much).is_ok()), workers));
    assert_eq!(bench.closed(), (PortKind::Workers, Closed::Crowded));
    let _workers = bench.until(move || sent.join().unwrap());
    assert!(bench.came.is_empty(), "{:?}", bench.came);
}

#[test]
fn who_leaves_most_unread_is_closed_before_it_fills_the_memory() {
    let mut bench = Bench::new();
    let [(_lazy, spared), (_lazier, ended)] = [(); 2].map(|()| bench.known(PortKind::Clients));
    let answer = vec![b'x'; 1 << 20];
    let mut sent = (0..64).map(|_| {
        bench.turn();
        bench.ports.send(ended, &[&answer])
    });
    assert_eq!(sent.find(Result::is_err), Some(Err(SendError::Gone)));
    assert_eq!(bench.closed(), (PortKind::Clients, Closed::Unread));
    assert_eq!(bench.ports.send(spared, &[b"x"]), Ok(()));
}

#[test]
fn a_key_is_proven_and_must_be_allowed() {
    let [router, worker, stranger] = [(); 3].map(|()| KeyPair::generate().unwrap());
    let allowed = worker.public().to_string();
    let mut bench = Bench::with(100, Some(&router), move |key| key == allowed);
    let curve = |own: &KeyPair| Curve { router: router.public().clone(), own: own.clone() };
    let refused = bench.dealer(PortKind::Workers, Some(&curve(&stranger)));
    refused.send("no", 0).unwrap();
    assert_eq!(bench.closed(), (PortKind::Workers, Closed::Handshake));
    let plain = bench.dealer(PortKind::Workers, None);
    plain.send("no", 0).unwrap();
    assert_eq!(bench.closed(), (PortKind::Workers, Closed::Handshake));
    drop((refused, plain));
    let known = bench.dealer(PortKind::Workers, Some(&curve(&worker)));
    known.send("yes", 0).unwrap();
    let came = bench.message();
    assert_eq!(
        (came.what.unwrap(), came.key.as_deref()),
        (vec![b"yes".to_vec()], Some(worker.public().as_str()))
    );
    bench.ports.send(came.peer, &[b"welcome"]).unwrap();
    assert_eq!(bench.sent_to(&known), [b"welcome"]);
}

#[test]
fn what_waits_to_be_sent_leaves_before_the_ports_close() {
    let mut bench = Bench::new();
    let client = bench.dealer(PortKind::Clients, None);
    client.send("{}", 0).unwrap();
    let peer = bench.message().peer;
    let answer = vec![b'x'; 3 << 20];
    for _ in 0..3 {
        bench.ports.send(peer, &[&answer]).unwrap();
    }
    bench.ports.finish(SOON);
    assert!((0..3).all(|_| client.recv_bytes(0).unwrap().len() == answer.len()));
}
