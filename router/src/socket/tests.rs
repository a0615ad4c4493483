use std::time::Duration;

use trackyard_protocol::keys::{Curve, KeyPair};

use super::*;

fn ports() -> (Context, Ports) {
    let context = Context::new();
    let bind = |kind| Port::bind(&context, kind, "tcp://127.0.0.1:*", None).unwrap();
    let (clients, workers) = (bind(PortKind::Clients), bind(PortKind::Workers));
    (context, Ports { clients, keyed_clients: None, workers, waker: Waker::new().unwrap() })
}

fn dealer(context: &Context, port: &Port) -> zmq::Socket {
    let socket = context.socket(zmq::DEALER).unwrap();
    socket.set_linger(0).unwrap();
    socket.connect(port.endpoint()).unwrap();
    socket
}

fn next(ports: &Ports, keep: usize) -> Vec<Frame> {
    for _ in 0..50 {
        ports.wait(Duration::from_millis(100));
        if let Some(frames) = ports.clients.receive(keep) {
            return frames;
        }
    }
    panic!("nothing came");
}

#[test]
fn the_peers_address_is_known_and_extra_frames_are_thrown_away() {
    let (context, ports) = ports();
    let client = dealer(&context, &ports.clients);
    client.send_multipart(["", "1", "2", "3"], 0).unwrap();
    let mut frames = next(&ports, 3);
    assert_eq!(frames.len(), 3);
    assert!(frames[1..].iter_mut().all(|frame| frame.peer_address() == Some("127.0.0.1")));
    client.send("again", 0).unwrap();
    assert_eq!(next(&ports, 3).len(), 2);
}

#[test]
fn a_peer_that_is_gone_is_named_and_a_wake_ends_the_wait() {
    let (_context, ports) = ports();
    let nobody = [Frame::from([0, 1, 2, 3, 4].as_slice()), Frame::from(b"x".as_slice())];
    assert_eq!(ports.workers.send(nobody), Err(SendError::Gone));
    let start = std::time::Instant::now();
    ports.waker.wake();
    ports.wait(Duration::from_secs(10));
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_port_in_use_is_named() {
    let (context, ports) = ports();
    let error = Port::bind(&context, PortKind::Clients, ports.workers.endpoint(), None).err().unwrap();
    assert!(error.to_string().contains(ports.workers.endpoint()), "{error}");
}

#[test]
fn the_library_has_curve() {
    assert_eq!(zmq::has("curve"), Some(true), "libzmq without CURVE: install libzmq3-dev");
}

/// libzmq admits everybody who knows the port's key then; only that nobody is named shows it.
#[test]
fn without_a_gatekeeper_nobody_is_named() {
    let context = Context::new();
    let [router, own] = [(); 2].map(|()| KeyPair::generate().unwrap());
    let port = Port::bind(&context, PortKind::Workers, "tcp://127.0.0.1:*", Some(&router)).unwrap();
    let peer = context.socket(zmq::DEALER).unwrap();
    Curve { router: router.public().clone(), own }.apply(&peer).unwrap();
    peer.set_linger(0).unwrap();
    peer.connect(port.endpoint()).unwrap();
    peer.send("Hello", 0).unwrap();
    assert_ne!(zmq::poll(&mut [port.poll_item()], 10_000).unwrap(), 0);
    let mut frames = port.receive(2).unwrap();
    assert_eq!(frames[1].as_ref(), b"Hello");
    assert_eq!(frames[1].peer_key(), None);
}

#[test]
fn a_frame_over_the_limit_is_told_from_a_peer_that_leaves() {
    let (context, ports) = ports();
    let (sender, closed) = std::sync::mpsc::channel();
    let monitor =
        Monitor::start(&context, &ports, 100, move |port, by| sender.send((port, by)).unwrap()).unwrap();
    let next = || closed.recv_timeout(Duration::from_secs(10)).unwrap();

    let polite = dealer(&context, &ports.clients);
    polite.send_multipart(["", "{}"], 0).unwrap();
    self::next(&ports, 3);
    drop(polite);
    assert_eq!(next(), (PortKind::Clients, Closed::Peer));

    let big = dealer(&context, &ports.clients);
    big.send_multipart(["", "{}"], 0).unwrap();
    self::next(&ports, 3);
    big.send(vec![0_u8; (4 << 20) + 1], 0).unwrap();
    assert_eq!(next(), (PortKind::Clients, Closed::Oversize));

    let address = ports.workers.endpoint().trim_start_matches("tcp://");
    let mut stranger = std::net::TcpStream::connect(address).unwrap();
    let greeting = [&[0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0][..], b"SECRET", &[0; 46]].concat();
    std::io::Write::write_all(&mut stranger, &greeting).unwrap();
    assert_eq!(next(), (PortKind::Workers, Closed::Handshake));

    drop(ports);
    monitor.join();
}

#[test]
fn connections_beyond_the_bound_are_closed_until_others_leave() {
    let (context, ports) = ports();
    let (sender, closed) = std::sync::mpsc::channel();
    let count = move |_, by| sender.send(by).unwrap();
    // Half of them may come from one address.
    let monitor = Monitor::start(&context, &ports, 4, count).unwrap();
    let closed_as = |by| {
        let mut all = std::iter::from_fn(|| closed.recv_timeout(Duration::from_secs(10)).ok());
        assert!(all.any(|closed| closed == by), "nothing was closed as {by:?}");
    };
    let say = |who: &zmq::Socket, what: &str| {
        who.send(what, 0).unwrap();
        assert_eq!(next(&ports, 3)[1].as_ref(), what.as_bytes());
    };
    let [first, second] = [(); 2].map(|()| dealer(&context, &ports.clients));
    say(&first, "1");
    say(&second, "2");
    let third = dealer(&context, &ports.clients);
    closed_as(Closed::TooMany);
    say(&first, "3");
    drop(second);
    closed_as(Closed::Peer);
    // It tries again and again by itself; what it said on a connection that was closed is lost.
    let is_heard = |_| {
        third.send("4", 0).unwrap();
        ports.wait(Duration::from_millis(200));
        ports.clients.receive(3).is_some()
    };
    assert!((0..50).any(is_heard));
    drop(ports);
    monitor.join();
}
