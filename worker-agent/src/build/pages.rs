//! The logs of the running builds on the admin port: `/builds` lists the builds, `/builds/TOKEN/log?from=N` returns a
//! log from line N on as JSON.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use serde::{Deserialize, Serialize};
use trackyard_protocol::token::Token;
use trackyard_protocol::worker::Build;

use super::LogBuffer;

/// The running builds and their logs. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct BuildLogs(Arc<Mutex<BTreeMap<Token, Entry>>>);

#[derive(Debug)]
struct Entry {
    info: BuildInfo,
    log: LogBuffer,
}

/// A build in the list.
#[derive(Debug, Clone, Serialize)]
struct BuildInfo {
    token: Token,
    channel: &'static str,
    track: String,
    git_reference: String,
}

#[derive(Deserialize)]
struct LogQuery {
    #[serde(default)]
    from: u64,
}

impl BuildLogs {
    /// Adds a build and its log.
    pub fn put(&self, build: &Build, log: LogBuffer) {
        let info = BuildInfo {
            token: build.token,
            channel: build.channel.as_str(),
            track: build.track.to_string(),
            git_reference: build.git_reference.clone(),
        };
        self.entries().insert(build.token, Entry { info, log });
    }

    /// Removes a build.
    pub fn remove(&self, token: Token) {
        self.entries().remove(&token);
    }

    /// Returns the HTTP routes.
    pub fn pages(&self) -> Router {
        Router::new()
            .route("/builds", get(list))
            .route("/builds/{token}/log", get(log))
            .with_state(self.clone())
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<Token, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn list(State(logs): State<BuildLogs>) -> Response {
    let all: Vec<BuildInfo> = logs.entries().values().map(|entry| entry.info.clone()).collect();
    Json(all).into_response()
}

async fn log(
    State(logs): State<BuildLogs>,
    Path(token): Path<String>,
    Query(query): Query<LogQuery>,
) -> Response {
    let page = token.parse::<Token>().ok().and_then(|token| {
        let entries = logs.entries();
        entries.get(&token).map(|entry| entry.log.since(query.from))
    });
    match page {
        Some(page) => Json(page).into_response(),
        None => (StatusCode::NOT_FOUND, "this worker does not run such a build\n").into_response(),
    }
}
