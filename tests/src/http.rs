//! A minimal HTTP client for the admin ports: one GET over plain HTTP.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

/// The answer of an admin port.
#[derive(Debug)]
pub struct Page {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: String,
}

/// Gets `path` from 127.0.0.1:`port`. Returns `None` if nothing answers.
#[must_use]
pub fn get(port: u16, path: &str) -> Option<Page> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n").ok()?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Page { status, body: body.to_owned() })
}

/// Returns true if the admin port reports that the process is ready.
#[must_use]
pub fn is_ready(port: u16) -> bool {
    get(port, "/readyz").is_some_and(|page| page.status == 200)
}
