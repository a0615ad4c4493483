//! The admin port over a real socket.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use trackyard_daemon::admin::Admin;
use trackyard_daemon::metrics::Metrics;
use trackyard_daemon::pulse::Pulse;
use trackyard_daemon::readiness::Readiness;
use trackyard_daemon::shutdown::CancellationToken;

async fn get(address: std::net::SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn every_page_tells_its_part_and_serving_ends_when_asked() {
    let readiness = Readiness::default();
    let gate = readiness.gate("sockets", "not bound yet");
    let admin = Admin::new(readiness, Metrics::new(Metrics::registry("test", "0")))
        .with_pulse(Pulse::new(Duration::from_secs(60)))
        .with_status(|| async { serde_json::json!({"workers": 3}) });
    let listener = Admin::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let server = tokio::spawn(admin.serve(listener, stop.clone()));

    let before = get(address, "/readyz").await;
    assert!(before.starts_with("HTTP/1.1 503") && before.contains("sockets: not bound yet"), "{before}");
    gate.open();
    assert!(get(address, "/readyz").await.starts_with("HTTP/1.1 200"));
    assert!(get(address, "/livez").await.starts_with("HTTP/1.1 200"));
    assert!(get(address, "/status.json").await.ends_with(r#"{"workers":3}"#));
    let metrics = get(address, "/metrics").await;
    assert!(metrics.contains("openmetrics-text") && metrics.contains("trackyard_build_info"), "{metrics}");

    stop.cancel();
    server.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_stuck_loop_is_not_alive_and_a_port_in_use_is_named() {
    let listener = Admin::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let error = Admin::bind(address).await.unwrap_err();
    assert!(error.to_string().contains(&address.to_string()), "{error}");

    let pulse = Pulse::new(Duration::ZERO);
    tokio::time::sleep(Duration::from_millis(2)).await;
    let admin =
        Admin::new(Readiness::default(), Metrics::new(Metrics::registry("test", "0"))).with_pulse(pulse);
    tokio::spawn(admin.serve(listener, CancellationToken::new()));
    assert!(get(address, "/livez").await.starts_with("HTTP/1.1 503"));
}
