//! Each way in which a wire can be.

use super::*;
use crate::wait::{seconds, wait_until};

fn echo() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let (mut from, mut to) = (stream.try_clone().unwrap(), stream);
                let _ = std::io::copy(&mut from, &mut to);
            });
        }
    });
    address
}

fn dial(wire: &Wire) -> TcpStream {
    let stream = TcpStream::connect(wire.address()).unwrap();
    stream.set_read_timeout(Some(seconds(5))).unwrap();
    stream
}

fn echoed(stream: &mut TcpStream) -> bool {
    let mut back = [0; 2];
    stream.write_all(b"hi").is_ok() && stream.read_exact(&mut back).is_ok() && &back == b"hi"
}

#[test]
fn an_open_wire_passes_all_and_a_cut_one_nothing() {
    let wire = Wire::to(echo());
    let mut stream = dial(&wire);
    assert!(echoed(&mut stream));
    wire.set(Mode::Cut);
    wait_until(seconds(5), "the connection is closed", || !echoed(&mut stream));
    assert!(!echoed(&mut dial(&wire)));
    wire.set(Mode::Open);
    assert!(echoed(&mut dial(&wire)));
}

#[test]
fn a_stalled_wire_passes_all_later() {
    let wire = Wire::to(echo());
    let mut stream = dial(&wire);
    wire.set(Mode::Stalled);
    stream.write_all(b"hi").unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    assert!(stream.read(&mut [0; 2]).is_err());
    wire.set(Mode::Open);
    stream.set_read_timeout(Some(seconds(5))).unwrap();
    let mut back = [0; 2];
    stream.read_exact(&mut back).unwrap();
    assert_eq!(&back, b"hi");
}

#[test]
fn a_deaf_wire_loses_what_was_said_and_then_its_connection() {
    let wire = Wire::to(echo());
    let mut stream = dial(&wire);
    wire.set(Mode::Deaf);
    stream.write_all(b"hi").unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    assert!(stream.read(&mut [0; 2]).is_err());
    wire.set(Mode::Open);
    stream.set_read_timeout(Some(seconds(5))).unwrap();
    assert_eq!(stream.read(&mut [0; 2]).unwrap_or_default(), 0);
}

#[test]
fn a_wire_can_answer_in_the_servers_place() {
    let wire = Wire::to(echo());
    wire.set(Mode::Says(503));
    let mut stream = dial(&wire);
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 503 "), "{text}");
}
