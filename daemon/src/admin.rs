//! The admin port: `/livez`, `/readyz`, `/metrics` and `/status.json`. Read-only.

use std::fmt::Write;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::metrics::{MEDIA_TYPE, Metrics};
use crate::pulse::Pulse;
use crate::readiness::Readiness;

/// Why the admin port cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be bound.
    #[error("cannot bind the admin port {address}: {source}; choose another with --admin")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The error of the system.
        source: io::Error,
    },
    /// The server failed.
    #[error("the admin port failed: {0}")]
    Serve(io::Error),
}

/// Returns what is wrong if the process must be restarted.
type LivenessCheck = Arc<dyn Fn() -> Option<String> + Send + Sync>;
type Status = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = serde_json::Value> + Send>> + Send + Sync>;

/// The pages of the admin port.
#[derive(Clone)]
pub struct Admin {
    readiness: Readiness,
    metrics: Metrics,
    liveness_checks: Vec<LivenessCheck>,
    status: Status,
    more: Router,
}

impl Admin {
    /// Returns an admin port that shows readiness and metrics.
    #[must_use]
    pub fn new(readiness: Readiness, metrics: Metrics) -> Self {
        let status: Status = Arc::new(|| Box::pin(async { serde_json::json!({}) }));
        Self { readiness, metrics, liveness_checks: Vec::new(), status, more: Router::new() }
    }

    /// Serves the value of `status` at `/status.json`.
    #[must_use]
    pub fn with_status<F, S>(mut self, status: F) -> Self
    where
        F: Fn() -> S + Send + Sync + 'static,
        S: Future<Output = serde_json::Value> + Send + 'static,
    {
        self.status = Arc::new(move || Box::pin(status()));
        self
    }

    /// Serves more pages, which must be read-only.
    #[must_use]
    pub fn with_pages(mut self, pages: Router) -> Self {
        self.more = pages;
        self
    }

    /// Makes `/livez` fail while `pulse` is stuck.
    #[must_use]
    pub fn with_pulse(self, pulse: Pulse) -> Self {
        self.with_liveness_check(move || Some(format!("stuck for {} s", pulse.stuck_for()?.as_secs())))
    }

    /// Makes `/livez` fail while `check` returns what is wrong.
    #[must_use]
    pub fn with_liveness_check(mut self, check: impl Fn() -> Option<String> + Send + Sync + 'static) -> Self {
        self.liveness_checks.push(Arc::new(check));
        self
    }

    /// Binds `address`. Apart from [`serve`](Self::serve), so that a port in use is an error at start.
    ///
    /// # Errors
    /// If the address cannot be bound.
    pub async fn bind(address: SocketAddr) -> Result<TcpListener, Error> {
        TcpListener::bind(address).await.map_err(|source| Error::Bind { address, source })
    }

    /// Serves until `stop` is cancelled.
    ///
    /// # Errors
    /// If the listener fails.
    pub async fn serve(self, listener: TcpListener, stop: CancellationToken) -> Result<(), Error> {
        let server = axum::serve(listener, self.routes()).into_future();
        // Not gracefully: a client that keeps its connection open must not keep the process alive.
        tokio::select! {
            ended = server => ended.map_err(Error::Serve),
            () = stop.cancelled() => Ok(()),
        }
    }

    fn routes(self) -> Router {
        let more = self.more.clone();
        Router::new()
            .route("/livez", get(live))
            .route("/readyz", get(ready))
            .route("/metrics", get(metrics))
            .route("/status.json", get(status))
            .with_state(self)
            .merge(more)
    }
}

async fn live(State(admin): State<Admin>) -> Response {
    let wrong: String = admin.liveness_checks.iter().filter_map(|check| Some(check()? + "\n")).collect();
    if wrong.is_empty() {
        return "ok\n".into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, wrong).into_response()
}

async fn ready(State(admin): State<Admin>) -> Response {
    let missing = admin.readiness.missing();
    if missing.is_empty() {
        return "ready\n".into_response();
    }
    let mut text = String::from("not ready\n");
    for gate in missing {
        let _ = writeln!(text, "{}: {}", gate.gate, gate.why);
    }
    (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
}

async fn metrics(State(admin): State<Admin>) -> Response {
    match admin.metrics.text() {
        Ok(text) => ([(header::CONTENT_TYPE, MEDIA_TYPE)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn status(State(admin): State<Admin>) -> Json<serde_json::Value> {
    Json((admin.status)().await)
}
