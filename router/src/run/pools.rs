//! `GET /pools?since=REVISION`: a long poll for the operator.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use serde::Deserialize;
use trackyard_protocol::pools::{MAX_POLL, Report};

use super::status::Status;

/// Between two looks while somebody waits.
const EVERY: Duration = Duration::from_millis(250);

#[derive(Debug, Deserialize)]
struct Asked {
    #[serde(default)]
    since: String,
}

pub(super) fn page(status: Arc<Status>) -> Router {
    Router::new().route("/pools", get(pools)).with_state(status)
}

async fn pools(State(status): State<Arc<Status>>, Query(asked): Query<Asked>) -> Response {
    let begun = Instant::now();
    loop {
        match status.report().await {
            Some(report) if is_due(&report, &asked, begun) => return Json(report).into_response(),
            Some(_) => tokio::time::sleep(EVERY).await,
            None => return (StatusCode::SERVICE_UNAVAILABLE, "the router does not serve\n").into_response(),
        }
    }
}

fn is_due(report: &Report, asked: &Asked, begun: Instant) -> bool {
    report.revision != asked.since || begun.elapsed() >= MAX_POLL
}
