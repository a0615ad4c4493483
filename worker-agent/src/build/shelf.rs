//! The logs of the builds in hand, for those who look at this worker: `/builds` lists them, `/builds/TOKEN/log?from=N`
//! gives one as JSON.

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

use super::Log;

/// The builds in hand; clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Shelf(Arc<Mutex<BTreeMap<Token, Entry>>>);

#[derive(Debug)]
struct Entry {
    about: About,
    log: Log,
}

/// What a list of builds tells of one.
#[derive(Debug, Clone, Serialize)]
struct About {
    token: Token,
    channel: &'static str,
    track: String,
    git_reference: String,
}

#[derive(Deserialize)]
struct From {
    #[serde(default)]
    from: u64,
}

impl Shelf {
    /// Puts up the log of a build.
    pub fn put(&self, build: &Build, log: Log) {
        let about = About {
            token: build.token,
            channel: build.channel.as_str(),
            track: build.track.to_string(),
            git_reference: build.git_reference.clone(),
        };
        self.entries().insert(build.token, Entry { about, log });
    }

    /// Takes away a build that has ended.
    pub fn remove(&self, token: Token) {
        self.entries().remove(&token);
    }

    /// The pages.
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

async fn list(State(shelf): State<Shelf>) -> Response {
    let all: Vec<About> = shelf.entries().values().map(|entry| entry.about.clone()).collect();
    Json(all).into_response()
}

async fn log(State(shelf): State<Shelf>, Path(token): Path<String>, Query(from): Query<From>) -> Response {
    let page = token.parse::<Token>().ok().and_then(|token| {
        let entries = shelf.entries();
        entries.get(&token).map(|entry| entry.log.since(from.from))
    });
    match page {
        Some(page) => Json(page).into_response(),
        None => (StatusCode::NOT_FOUND, "no such build is in hand here\n").into_response(),
    }
}
