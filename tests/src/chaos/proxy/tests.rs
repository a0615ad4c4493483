//! Tests of each proxy mode.

use super::*;
use crate::wait::{seconds, wait_until};

fn echo() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut from = stream.try_clone().unwrap();
                let mut to = stream;
                let _ = std::io::copy(&mut from, &mut to);
            });
        }
    });
    address
}

fn connect(proxy: &Proxy) -> TcpStream {
    let stream = TcpStream::connect(proxy.address()).unwrap();
    stream.set_read_timeout(Some(seconds(5))).unwrap();
    stream
}

fn echoed(stream: &mut TcpStream) -> bool {
    let mut back = [0; 2];
    stream.write_all(b"hi").is_ok() && stream.read_exact(&mut back).is_ok() && &back == b"hi"
}

#[test]
fn an_open_wire_passes_all_and_a_cut_one_nothing() {
    let proxy = Proxy::to(echo());
    let mut stream = connect(&proxy);
    assert!(echoed(&mut stream));
    proxy.set(ProxyMode::Cut);
    wait_until(seconds(5), "the connection is closed", || !echoed(&mut stream));
    assert!(!echoed(&mut connect(&proxy)));
    proxy.set(ProxyMode::Pass);
    assert!(echoed(&mut connect(&proxy)));
}

#[test]
fn a_stalled_wire_passes_all_later() {
    let proxy = Proxy::to(echo());
    let mut stream = connect(&proxy);
    proxy.set(ProxyMode::Stalled);
    stream.write_all(b"hi").unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    assert!(stream.read(&mut [0; 2]).is_err());
    proxy.set(ProxyMode::Pass);
    stream.set_read_timeout(Some(seconds(5))).unwrap();
    let mut back = [0; 2];
    stream.read_exact(&mut back).unwrap();
    assert_eq!(&back, b"hi");
}

#[test]
fn a_deaf_wire_loses_what_was_said_and_then_its_connection() {
    let proxy = Proxy::to(echo());
    let mut stream = connect(&proxy);
    proxy.set(ProxyMode::HalfOpen);
    stream.write_all(b"hi").unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    assert!(stream.read(&mut [0; 2]).is_err());
    proxy.set(ProxyMode::Pass);
    stream.set_read_timeout(Some(seconds(5))).unwrap();
    assert_eq!(stream.read(&mut [0; 2]).unwrap_or_default(), 0);
}

#[test]
fn a_wire_can_answer_in_the_servers_place() {
    let proxy = Proxy::to(echo());
    proxy.set(ProxyMode::Respond(503));
    let mut stream = connect(&proxy);
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 503 "), "{text}");
}
