//! `GET /pools?since=REVISION`: a long poll for the operator.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use serde::Deserialize;
use trackyard_protocol::load_report::{LoadReport, MAX_POLL};

use super::status::Status;

/// Interval between checks while a request waits.
const CHECK_INTERVAL: Duration = Duration::from_millis(250);

#[derive(Debug, Deserialize)]
struct PoolsQuery {
    #[serde(default)]
    since: String,
}

pub(super) fn page(status: Arc<Status>) -> Router {
    Router::new().route("/pools", get(pools)).with_state(status)
}

async fn pools(State(status): State<Arc<Status>>, Query(query): Query<PoolsQuery>) -> Response {
    let started = Instant::now();
    loop {
        match status.report().await {
            Some(report) if is_due(&report, &query, started) => return Json(report).into_response(),
            Some(_) => tokio::time::sleep(CHECK_INTERVAL).await,
            None => return (StatusCode::SERVICE_UNAVAILABLE, "the router is not serving\n").into_response(),
        }
    }
}

fn is_due(report: &LoadReport, query: &PoolsQuery, started: Instant) -> bool {
    report.revision != query.since || started.elapsed() >= MAX_POLL
}
