//! Asks a process's admin port whether the process is ready.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Maximum size of a response that is read.
const MAX_REPLY_BYTES: u64 = 64 << 10;
/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);

/// Whether a process is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Readiness {
    /// The process is ready.
    Ready,
    /// The process is not ready, for this reason, or does not listen yet.
    NotReady(String),
}

/// Sends one request. `path` is `/livez` or `/readyz`.
pub(super) async fn ask(address: SocketAddr, path: &str) -> Readiness {
    match tokio::time::timeout(REQUEST_TIMEOUT, get(address, path)).await {
        Ok(Ok(reply)) => parse(&reply),
        Ok(Err(_)) | Err(_) => Readiness::NotReady("its admin port does not answer yet".to_owned()),
    }
}

async fn get(address: SocketAddr, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut reply = Vec::new();
    stream.take(MAX_REPLY_BYTES).read_to_end(&mut reply).await?;
    Ok(String::from_utf8_lossy(&reply).into_owned())
}

fn parse(reply: &str) -> Readiness {
    let (head, body) = reply.split_once("\r\n\r\n").unwrap_or((reply, ""));
    if head.split(' ').nth(1) == Some("200") {
        return Readiness::Ready;
    }
    let lines: Vec<&str> = body.lines().map(str::trim).filter(|line| line.contains(": ")).collect();
    Readiness::NotReady(if lines.is_empty() { "it does not say why".to_owned() } else { lines.join("; ") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("HTTP/1.1 200 OK\r\na: b\r\n\r\nready\n", None)]
    #[case(
        "HTTP/1.1 503 Service Unavailable\r\n\r\nnot ready\ncanary: not run yet\nversions: 1 of 2\n",
        Some("canary: not run yet; versions: 1 of 2")
    )]
    #[case("HTTP/1.1 404 Not Found\r\n\r\n", Some("it does not say why"))]
    #[case("", Some("it does not say why"))]
    fn readiness_is_parsed(#[case] reply: &str, #[case] missing: Option<&str>) {
        let expected = missing.map_or(Readiness::Ready, |why| Readiness::NotReady(why.to_owned()));
        assert_eq!(parse(reply), expected);
    }

    #[tokio::test]
    async fn a_closed_port_is_not_ready() {
        let address = super::super::ports::FreePorts::default().reserve(None).unwrap();
        assert!(matches!(ask(address, "/readyz").await, Readiness::NotReady(_)));
    }
}
