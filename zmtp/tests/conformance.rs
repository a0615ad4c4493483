//! Tests the session against libzmq's sockets.
#![cfg(test)]

mod echo;

use echo::{Event, Server, TIMEOUT};
use rstest::rstest;
use trackyard_zmtp::{Security, ZmtpError, curve};
use zmq::{Context, CurveKeyPair, DEALER, PAIR, PUSH, REQ, Socket, SocketType};

/// A port, and the keys that its clients need.
struct Port {
    server: Server,
    keys: Option<(CurveKeyPair, CurveKeyPair)>,
}

impl Port {
    fn null() -> Self {
        Self { server: Server::start(Security::Null, true), keys: None }
    }

    fn curve(admits: bool) -> Self {
        let ours = CurveKeyPair::new().unwrap();
        let theirs = CurveKeyPair::new().unwrap();
        let security = Security::Curve(curve::ServerKeys::new(ours.secret_key, ours.public_key));
        Self { server: Server::start(security, admits), keys: Some((ours, theirs)) }
    }

    fn of(curve: bool) -> Self {
        if curve { Self::curve(true) } else { Self::null() }
    }

    fn socket(&self, kind: SocketType) -> Socket {
        self.socket_in(&Context::new(), kind)
    }

    fn socket_in(&self, context: &Context, kind: SocketType) -> Socket {
        let socket = socket_with_timeouts(context, kind);
        socket.set_linger(0).unwrap();
        socket.set_sndhwm(0).unwrap();
        socket.set_rcvhwm(0).unwrap();
        if let Some((ours, theirs)) = &self.keys {
            socket.set_curve_serverkey(&ours.public_key).unwrap();
            socket.set_curve_publickey(&theirs.public_key).unwrap();
            socket.set_curve_secretkey(&theirs.secret_key).unwrap();
        }
        socket
    }

    fn connected(&self, kind: SocketType) -> Socket {
        let socket = self.socket(kind);
        socket.connect(&self.server.endpoint).unwrap();
        socket
    }
}

fn socket_with_timeouts(context: &Context, kind: SocketType) -> Socket {
    let socket = context.socket(kind).unwrap();
    let timeout = i32::try_from(TIMEOUT.as_millis()).unwrap();
    socket.set_rcvtimeo(timeout).unwrap();
    socket.set_sndtimeo(timeout).unwrap();
    socket
}

fn frame(bytes: usize) -> Vec<u8> {
    (0..=250).cycle().take(bytes).collect()
}

#[test]
fn libzmq_supports_curve() {
    assert_eq!(zmq::has("curve"), Some(true), "install libzmq3-dev");
}

#[rstest]
fn messages_of_every_length_are_echoed(
    #[values(false, true)] curve: bool,
    #[values(REQ, DEALER)] kind: SocketType,
) {
    let port = Port::of(curve);
    let client = port.connected(kind);
    for bytes in [0, 1, 254, 255, 256, 8_192, 70_000] {
        client.send(frame(bytes), 0).unwrap();
        assert_eq!(client.recv_bytes(0).unwrap(), frame(bytes), "{bytes}");
    }
}

#[rstest]
fn messages_of_many_frames_are_echoed(
    #[values(false, true)] curve: bool,
    #[values(REQ, DEALER)] kind: SocketType,
) {
    let port = Port::of(curve);
    let client = port.connected(kind);
    for count in 1..=5 {
        let frames: Vec<Vec<u8>> = (0..count).map(|index| frame(index * 200)).collect();
        client.send_multipart(&frames, 0).unwrap();
        assert_eq!(client.recv_multipart(0).unwrap(), frames);
    }
}

#[rstest]
fn a_thousand_messages_are_echoed(#[values(false, true)] curve: bool) {
    let port = Port::of(curve);
    let client = port.connected(DEALER);
    let message = |index: u16| vec![Vec::new(), index.to_be_bytes().to_vec(), frame(usize::from(index))];
    for index in 0..1000 {
        client.send_multipart(message(index), 0).unwrap();
    }
    for index in 0..1000 {
        assert_eq!(client.recv_multipart(0).unwrap(), message(index));
    }
}

#[test]
fn verified_key_is_the_clients() {
    let port = Port::curve(true);
    let _client = port.connected(DEALER);
    let key = port.keys.as_ref().unwrap().1.public_key;
    port.server.expect(&[Event::KeyVerified(key), Event::Ready]);
}

#[test]
fn client_with_a_wrong_server_key_fails() {
    let mut port = Port::curve(true);
    port.keys.as_mut().unwrap().0 = CurveKeyPair::new().unwrap();
    let _client = port.connected(DEALER);
    port.server.expect(&[Event::Failed(ZmtpError::Box)]);
}

#[test]
fn refused_client_gets_an_error() {
    const HANDSHAKE_FAILED_AUTH: u16 = 0x4000;
    let port = Port::curve(false);
    let context = Context::new();
    let client = port.socket_in(&context, DEALER);
    client.monitor("inproc://refused", i32::from(HANDSHAKE_FAILED_AUTH)).unwrap();
    let monitor = socket_with_timeouts(&context, PAIR);
    monitor.connect("inproc://refused").unwrap();
    client.connect(&port.server.endpoint).unwrap();
    let key = port.keys.as_ref().unwrap().1.public_key;
    port.server.expect(&[Event::KeyVerified(key), Event::Failed(ZmtpError::Refused)]);
    let event = monitor.recv_multipart(0).unwrap();
    assert_eq!(event[0], [HANDSHAKE_FAILED_AUTH.to_le_bytes().as_slice(), &400_u32.to_le_bytes()].concat());
    assert_eq!(client.poll(zmq::POLLIN, 0).unwrap(), 0);
}

#[rstest]
#[case::curve_wanted(true, ZmtpError::Mechanism)]
#[case::curve_sent(false, ZmtpError::Mechanism)]
fn other_mechanisms_fail(#[case] curve: bool, #[case] expected: ZmtpError) {
    let port = Port::of(curve);
    let other = Port::of(!curve);
    let client = other.socket(DEALER);
    client.connect(&port.server.endpoint).unwrap();
    port.server.expect(&[Event::Failed(expected)]);
}

#[rstest]
fn push_sockets_are_refused(#[values(false, true)] curve: bool) {
    let port = Port::of(curve);
    let _client = port.connected(PUSH);
    port.server.expect(&[Event::Failed(ZmtpError::SocketType)]);
}

/// The client disconnects after a second without an answer, which is twenty heartbeats.
#[rstest]
fn heartbeats_are_answered(#[values(false, true)] curve: bool) {
    let port = Port::of(curve);
    let client = port.socket(DEALER);
    client.set_heartbeat_ivl(50).unwrap();
    client.set_heartbeat_timeout(1_000).unwrap();
    client.connect(&port.server.endpoint).unwrap();
    while port.server.event() != Event::Ready {}
    for _ in 0..40 {
        assert_eq!(port.server.event(), Event::Part, "a heartbeat");
    }
    client.send("still there", 0).unwrap();
    assert_eq!(client.recv_bytes(0).unwrap(), b"still there");
}

#[test]
fn disconnect_is_noticed() {
    let port = Port::null();
    let client = port.connected(REQ);
    port.server.expect(&[Event::Ready]);
    drop(client);
    assert_eq!(port.server.event(), Event::Closed);
}
