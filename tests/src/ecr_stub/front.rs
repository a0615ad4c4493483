//! A front of docker-registry with credentials of its own and paged tags, and a host for its blobs, which refuses an
//! `Authorization` header.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::{StreamExt, TryStreamExt, future, stream};
use serde_json::{Value, json};

use super::http_server::HttpServer;
use super::uploads::Uploads;
use super::{Account, MAX_PAGE, lock, pushes};
use crate::registry::{PASSWORD, Registry, USER};

/// Counts of requests.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct RequestCounts {
    /// Requests without valid credentials.
    pub unauthorized: u32,
    /// Requests for blobs that were redirected.
    pub redirected: u32,
    /// Blobs, or parts of blobs, that the blob host served.
    pub blobs: u32,
    /// Requests that the blob host refused because they had an `Authorization` header.
    pub leaked: u32,
    /// Requests for a part of a blob.
    pub ranges: u32,
}

type Accepts = dyn Fn(&str, &str) -> bool + Send + Sync;

pub(super) struct Shared {
    pub(super) backend: String,
    pub(super) client: reqwest::Client,
    /// The account whose rules apply; `None` for a plain registry.
    pub(super) account: Option<Arc<Mutex<Account>>>,
    pub(super) uploads: Uploads,
    accepts: Box<Accepts>,
    seen: Mutex<RequestCounts>,
    /// For each of the next blobs to break off, the number of bytes to send.
    cuts: Mutex<Vec<usize>>,
    blob_host: Mutex<String>,
}

/// A running front with its blob host.
pub struct RegistryFront {
    shared: Arc<Shared>,
    registry: HttpServer,
    blobs: HttpServer,
}

impl RegistryFront {
    /// Starts a front of `registry`, which must require the tests' password.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(registry: &Registry, accepts: impl Fn(&str, &str) -> bool + Send + Sync + 'static) -> Self {
        Self::with(registry, Box::new(accepts), None)
    }

    /// Starts a front that accepts an account's tokens and obeys its rules.
    pub(super) fn for_account(registry: &Registry, account: Arc<Mutex<Account>>) -> Self {
        let shared_account = Arc::clone(&account);
        let accepts =
            move |user: &str, password: &str| user == "AWS" && lock(&shared_account).accepts(password);
        Self::with(registry, Box::new(accepts), Some(account))
    }

    fn with(registry: &Registry, accepts: Box<Accepts>, account: Option<Arc<Mutex<Account>>>) -> Self {
        let shared = Arc::new(Shared {
            backend: registry.location(),
            client: reqwest::Client::builder().no_proxy().build().expect("an HTTP client"),
            account,
            uploads: Uploads::default(),
            accepts,
            seen: Mutex::default(),
            cuts: Mutex::default(),
            blob_host: Mutex::default(),
        });
        let blobs = HttpServer::start(Router::new().fallback(serve_blob).with_state(Arc::clone(&shared)));
        *lock(&shared.blob_host) = blobs.address().to_string();
        let registry = HttpServer::start(Router::new().fallback(serve).with_state(Arc::clone(&shared)));
        Self { shared, registry, blobs }
    }

    /// Returns the registry's address as `127.0.0.1:<port>`.
    #[must_use]
    pub fn location(&self) -> String {
        self.registry.address().to_string()
    }

    /// Returns the blob host's address as `127.0.0.1:<port>`.
    #[must_use]
    pub fn blob_host(&self) -> String {
        self.blobs.address().to_string()
    }

    /// Returns the counts of requests so far.
    #[must_use]
    pub fn seen(&self) -> RequestCounts {
        lock(&self.shared.seen).clone()
    }

    /// Breaks off the next blob before it exceeds `bytes`. Bytes in the server's buffer are lost too, so use at least a
    /// few hundred thousand.
    pub fn cut_next_blob(&self, bytes: usize) {
        lock(&self.shared.cuts).push(bytes);
    }
}

async fn serve(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let query = request.uri().query().unwrap_or("").to_owned();
    if let Some(answer) = pushes::throttled(&shared) {
        return answer;
    }
    if !shared.is_authorized(request.headers()) {
        lock(&shared.seen).unauthorized += 1;
        if let Some(answer) = pushes::expired(&shared, request.headers()) {
            return answer;
        }
        return (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Basic realm=\"tests\"")])
            .into_response();
    }
    if pushes::is_push(&request) {
        return pushes::serve(&shared, request).await;
    }
    if path.contains("/blobs/") {
        lock(&shared.seen).redirected += 1;
        let to = format!("http://{}{path}?signature=secret", lock(&shared.blob_host));
        return (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, to)]).into_response();
    }
    let answer = shared.forward(request.method(), &path, request.headers()).await;
    if path.ends_with("/tags/list") {
        return page(answer, &path, &query).await;
    }
    response(answer, None)
}

async fn serve_blob(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    if request.headers().contains_key(header::AUTHORIZATION) {
        lock(&shared.seen).leaked += 1;
        return StatusCode::BAD_REQUEST.into_response();
    }
    let is_part = request.headers().contains_key(header::RANGE);
    {
        let mut seen = lock(&shared.seen);
        seen.blobs += 1;
        seen.ranges += u32::from(is_part);
    }
    let cut = lock(&shared.cuts).pop();
    let answer = shared.forward(request.method(), request.uri().path(), request.headers()).await;
    response(answer, cut)
}

impl Shared {
    fn is_authorized(&self, headers: &HeaderMap) -> bool {
        let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let decoded = value.and_then(|value| STANDARD.decode(value.strip_prefix("Basic ")?).ok());
        let text = decoded.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
        text.split_once(':').is_some_and(|(user, password)| (self.accepts)(user, password))
    }

    async fn forward(&self, method: &Method, path: &str, headers: &HeaderMap) -> reqwest::Response {
        let mut request = self.client.request(method.clone(), format!("http://{}{path}", self.backend));
        for name in [header::ACCEPT, header::RANGE] {
            for value in headers.get_all(&name) {
                request = request.header(&name, value);
            }
        }
        request.basic_auth(USER, Some(PASSWORD)).send().await.expect("docker-registry answers")
    }
}

/// Returns at most [`MAX_PAGE`] tags and a link to the next page, which docker-registry does not.
async fn page(answer: reqwest::Response, path: &str, query: &str) -> Response {
    let status = answer.status();
    let body: Value = answer.json().await.unwrap_or_default();
    let Some(mut tags) = body.get("tags").and_then(Value::as_array).cloned() else {
        return status.into_response();
    };
    tags.sort_by_key(Value::to_string);
    let last = query.split('&').find_map(|pair| pair.strip_prefix("last=")).unwrap_or_default();
    let rest = tags.into_iter().filter(|tag| tag.as_str().is_some_and(|tag| tag > last));
    let mut page: Vec<Value> = rest.take(MAX_PAGE + 1).collect();
    let has_more = page.len() > MAX_PAGE;
    page.truncate(MAX_PAGE);
    let last = page.last().and_then(Value::as_str).unwrap_or_default();
    let link = format!("<{path}?last={last}&n={MAX_PAGE}>; rel=\"next\"");
    let mut response = axum::Json(json!({"tags": page})).into_response();
    if has_more {
        response.headers_mut().insert(header::LINK, link.parse().expect("a link"));
    }
    response
}

fn response(answer: reqwest::Response, cut: Option<usize>) -> Response {
    let mut response = Response::builder().status(answer.status());
    let digest = HeaderName::from_static("docker-content-digest");
    for name in [header::CONTENT_TYPE, header::CONTENT_LENGTH, header::CONTENT_RANGE, digest] {
        if let Some(value) = answer.headers().get(&name) {
            response = response.header(&name, value);
        }
    }
    let bytes = answer.bytes_stream().map_err(std::io::Error::other);
    let body = match cut {
        None => Body::from_stream(bytes),
        Some(cut) => {
            let mut left = cut;
            let head = bytes.try_take_while(move |bytes| {
                left = left.saturating_sub(bytes.len());
                future::ready(Ok(left > 0))
            });
            Body::from_stream(head.chain(stream::iter([Err(std::io::Error::other("cut"))])))
        }
    };
    response.body(body).expect("a response")
}
