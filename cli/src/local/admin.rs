//! Asking a part's admin port if it is ready.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const MAX_REPLY_BYTES: u64 = 64 << 10;
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether a part is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Readiness {
    /// It is.
    Ready,
    /// It is not, and says why; or it does not listen yet.
    Missing(String),
}

/// Asks once. `path` is `/livez` or `/readyz`.
pub(super) async fn ask(address: SocketAddr, path: &str) -> Readiness {
    match tokio::time::timeout(PATIENCE, get(address, path)).await {
        Ok(Ok(reply)) => read(&reply),
        Ok(Err(_)) | Err(_) => Readiness::Missing("its admin port does not answer yet".to_owned()),
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

fn read(reply: &str) -> Readiness {
    let (head, body) = reply.split_once("\r\n\r\n").unwrap_or((reply, ""));
    if head.split(' ').nth(1) == Some("200") {
        return Readiness::Ready;
    }
    let lines: Vec<&str> = body.lines().map(str::trim).filter(|line| line.contains(": ")).collect();
    Readiness::Missing(if lines.is_empty() { "it does not say why".to_owned() } else { lines.join("; ") })
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
    fn replies(#[case] reply: &str, #[case] missing: Option<&str>) {
        let expected = missing.map_or(Readiness::Ready, |why| Readiness::Missing(why.to_owned()));
        assert_eq!(read(reply), expected);
    }

    #[tokio::test]
    async fn a_port_where_nobody_listens_is_not_ready() {
        let address = super::super::ports::Ports::default().take(None).unwrap();
        assert!(matches!(ask(address, "/readyz").await, Readiness::Missing(_)));
    }
}
