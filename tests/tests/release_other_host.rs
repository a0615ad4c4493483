//! Releases to a registry that requires bearer tokens, and receives blobs at another host.

#![cfg(test)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use e2e::registry::{BuiltImage, PASSWORD, USER};
use rstest::rstest;
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use trackyard_images::{ImageOptions, Images, ReleaseControl, ReleaseError, ReleaseOutcome, ReleaseTags};
use trackyard_protocol::source::{ImageSource, ImageSourceKind, default_repositories};

const REPOSITORY: &str = "ruby-test-runner";
const SHA: &str = "0123456789abcdef0123456789abcdef01234567";
const MAX_BODY_BYTES: usize = 64 << 20;

#[derive(Default)]
struct Stored {
    /// The location of uploads; `None` if the registry sends none.
    location: Option<String>,
    open: Vec<u8>,
    blobs: Vec<String>,
    tags: BTreeMap<String, String>,
    scopes: Vec<String>,
    leaked: u32,
}

type Shared = Arc<Mutex<Stored>>;

/// The registry and its blob host, with their common state.
struct Target {
    stored: Shared,
    registry: String,
    blobs: String,
    servers: Vec<JoinHandle<()>>,
}

impl Drop for Target {
    fn drop(&mut self) {
        self.servers.iter().for_each(JoinHandle::abort);
    }
}

impl Target {
    async fn new() -> Self {
        let stored = Shared::default();
        let (registry, one) = serve(Router::new().fallback(registry).with_state(Arc::clone(&stored))).await;
        let (blobs, two) = serve(Router::new().fallback(blob_host).with_state(Arc::clone(&stored))).await;
        Self { stored, registry, blobs, servers: vec![one, two] }
    }

    async fn release(&self, built: &BuiltImage) -> Result<ReleaseOutcome, ReleaseError> {
        let dir = TempDir::new().unwrap();
        let config = dir.path().join("config.json");
        let auths = json!({"auths": {&self.registry: {"username": USER, "password": PASSWORD}}});
        std::fs::write(&config, auths.to_string()).unwrap();
        let options = ImageOptions {
            docker_config: Some(config),
            max_attempts: 2,
            first_backoff: Duration::from_millis(5),
            ..ImageOptions::default()
        };
        let source = ImageSource {
            kind: ImageSourceKind::Registry,
            location: self.registry.clone(),
            repositories: default_repositories(),
        };
        let images = Images::connect(&source, &options).await.unwrap();
        let tags = ReleaseTags::new(SHA, UNIX_EPOCH).unwrap();
        images.release(REPOSITORY, &built.path(), &tags, &ReleaseControl::default()).await
    }
}

async fn serve(app: Router) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (address, tokio::spawn(async move { axum::serve(listener, app).await.unwrap() }))
}

fn authorization(headers: &HeaderMap) -> &str {
    headers.get(header::AUTHORIZATION).map_or("", |value| value.to_str().unwrap())
}

/// Gives tokens for a password, and accepts each token only for its scope.
async fn registry(State(stored): State<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let bytes = to_bytes(body, MAX_BODY_BYTES).await.unwrap();
    let path = parts.uri.path();
    let authorization = authorization(&parts.headers);
    if path == "/token" && authorization.starts_with("Basic ") {
        let query = parts.uri.query().unwrap();
        let scope = query.split('&').find_map(|pair| pair.strip_prefix("scope=")).unwrap().to_owned();
        stored.lock().unwrap().scopes.push(scope.clone());
        return axum::Json(json!({"token": scope})).into_response();
    }
    let is_read = matches!(parts.method, Method::GET | Method::HEAD);
    let scope = format!("repository%3A{REPOSITORY}%3Apull{}", if is_read { "" } else { "%2Cpush" });
    if !authorization.strip_prefix("Bearer ").is_some_and(|token| token.starts_with(&scope)) {
        let host = parts.headers[header::HOST].to_str().unwrap();
        let challenge = format!("Bearer realm=\"http://{host}/token\",service=\"tests\"");
        return (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, challenge)]).into_response();
    }
    let mut stored = stored.lock().unwrap();
    let (dir, name) = path.rsplit_once('/').unwrap();
    match (parts.method, dir.rsplit_once('/').unwrap().1) {
        (Method::POST, "uploads") => match stored.location.clone() {
            Some(location) => (StatusCode::ACCEPTED, [(header::LOCATION, location)]).into_response(),
            None => StatusCode::ACCEPTED.into_response(),
        },
        (Method::HEAD, "blobs") if stored.blobs.iter().any(|digest| digest == name) => {
            StatusCode::OK.into_response()
        }
        (Method::PUT, "manifests") => {
            stored.tags.insert(name.to_owned(), e2e::image::digest(&bytes));
            StatusCode::CREATED.into_response()
        }
        (Method::HEAD, "manifests") if stored.tags.contains_key(name) => {
            [("docker-content-digest", stored.tags[name].clone())].into_response()
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Accepts one blob at a time, and refuses an `Authorization` header.
async fn blob_host(State(stored): State<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let bytes = to_bytes(body, MAX_BODY_BYTES).await.unwrap();
    let mut stored = stored.lock().unwrap();
    if !authorization(&parts.headers).is_empty() {
        stored.leaked += 1;
        return StatusCode::BAD_REQUEST.into_response();
    }
    match parts.method {
        Method::PATCH => {
            stored.open = bytes.to_vec();
            (StatusCode::ACCEPTED, [(header::LOCATION, "/last?signature=2")]).into_response()
        }
        Method::PUT => {
            let digest = e2e::image::digest(&stored.open);
            let query = format!("signature=2&digest={}", digest.replace(':', "%3A"));
            assert_eq!((parts.uri.path(), parts.uri.query()), ("/last", Some(query.as_str())));
            stored.blobs.push(digest);
            StatusCode::CREATED.into_response()
        }
        _ => StatusCode::METHOD_NOT_ALLOWED.into_response(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn blobs_go_to_the_blob_host_without_token() {
    let target = Target::new().await;
    target.stored.lock().unwrap().location = Some(format!("http://{}/first?signature=1", target.blobs));
    // An image of one layer, because the blob host supports only one upload.
    let built = BuiltImage::of(&e2e::image::Image::bare());
    assert!(matches!(target.release(&built).await, Ok(ReleaseOutcome::Done { .. })));
    let stored = target.stored.lock().unwrap();
    assert_eq!((stored.blobs.len(), stored.leaked), (2, 0));
    assert_eq!(stored.tags[&format!("git-{SHA}")], built.digest());
    let scope = |actions: &str| format!("repository%3A{REPOSITORY}%3A{actions}");
    assert_eq!(stored.scopes, [scope("pull"), scope("pull%2Cpush")]);
}

#[rstest]
#[case::not_this_machine(Some("http://169.254.169.254/latest"))]
#[case::a_user(Some("http://user:secret@127.0.0.1:1/"))]
#[case::a_file(Some("file:///etc/passwd"))]
#[case::nowhere(None)]
#[tokio::test(flavor = "multi_thread")]
async fn unsafe_upload_locations_are_refused(#[case] location: Option<&str>) {
    let target = Target::new().await;
    target.stored.lock().unwrap().location = location.map(str::to_owned);
    let error = target.release(&BuiltImage::small("a")).await.unwrap_err();
    assert_eq!((error.as_str(), error.is_transient()), ("bad_answer", false), "{error}");
    assert!(!error.to_string().contains("secret"), "{error}");
    assert!(target.stored.lock().unwrap().tags.is_empty());
}
