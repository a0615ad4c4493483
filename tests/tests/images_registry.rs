//! Images from a real docker-registry with a password, behind a front that redirects to a blob host.

#![cfg(test)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use e2e::ecr_stub::RegistryFront;
use e2e::image::{Image, Layer};
use e2e::layout::Layout;
use e2e::registry::{PASSWORD, Registry, USER};
use futures_util::TryStreamExt;
use serde_json::json;
use tempfile::TempDir;
use trackyard_images::{ImageError, ImageOptions, Images};
use trackyard_protocol::source::{ImageSource, ImageSourceKind, default_repositories};
use trackyard_protocol::version::{ContainerVersion, Digest};

const REPOSITORY: &str = "ruby-test-runner";
const TAG: &str = "git-0123456789abcdef0123456789abcdef01234567";

/// A registry with one image, and a front of it with the same password.
struct Served {
    dir: TempDir,
    registry: Registry,
    front: RegistryFront,
    digest: Digest,
}

fn serve() -> Served {
    let dir = TempDir::new().unwrap();
    let layout = Layout::at(&dir.path().join("layouts"));
    let digest = layout.add(REPOSITORY, TAG, &Image::tooling("test_runners", "true"));
    let registry = Registry::start(true);
    registry.push(&layout.dir().join(REPOSITORY), TAG, REPOSITORY);
    let front = RegistryFront::start(&registry, |user, password| user == USER && password == PASSWORD);
    Served { dir, registry, front, digest: digest.parse().unwrap() }
}

fn docker_config(dir: &Path, location: &str, password: &str) -> ImageOptions {
    let path = dir.join("config.json");
    let config = json!({"auths": {location: {"username": USER, "password": password}}});
    std::fs::write(&path, config.to_string()).unwrap();
    ImageOptions { docker_config: Some(path), ..quick() }
}

fn quick() -> ImageOptions {
    ImageOptions { max_attempts: 3, first_backoff: Duration::from_millis(5), ..ImageOptions::default() }
}

async fn connect(location: &str, options: &ImageOptions) -> Images {
    let source = ImageSource {
        kind: ImageSourceKind::Registry,
        location: location.to_owned(),
        repositories: default_repositories(),
    };
    Images::connect(&source, options).await.unwrap()
}

fn version() -> ContainerVersion {
    TAG.parse().unwrap()
}

/// Reads all layers. Returns their total size.
async fn pull(images: &Images, digest: &Digest) -> Result<u64, ImageError> {
    let image = images.manifest(REPOSITORY, digest).await?;
    let mut total = 0;
    for layer in &image.layers {
        let read =
            images.blob(REPOSITORY, layer)?.try_fold(0, |sum, bytes| async move { Ok(sum + bytes.len()) });
        total += read.await?;
    }
    assert_eq!(total as u64, image.total_size);
    Ok(image.total_size)
}

#[tokio::test(flavor = "multi_thread")]
async fn image_is_pulled_with_password_kept_from_blob_host() {
    let served = serve();
    let location = served.front.location();
    let options = docker_config(served.dir.path(), &location, PASSWORD);
    let images = connect(&location, &options).await;
    let digest = images.resolve(REPOSITORY, &version()).await.unwrap();
    assert_eq!(digest, served.digest);
    pull(&images, &digest).await.unwrap();
    let seen = served.front.seen();
    // The configuration and two layers. One request was refused; then the client knew that a password is required.
    assert_eq!((seen.blobs, seen.redirected, seen.leaked, seen.unauthorized), (3, 3, 0, 1));

    // The blob host would have counted a leaked password.
    let url = format!("http://{}/v2/{REPOSITORY}/blobs/{digest}", served.front.blob_host());
    let leak = reqwest::Client::new().get(url).basic_auth(USER, Some(PASSWORD)).send().await.unwrap();
    assert_eq!((leak.status().as_u16(), served.front.seen().leaked), (400, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_download_is_resumed() {
    let served = serve();
    let location = served.front.location();
    let images = connect(&location, &docker_config(served.dir.path(), &location, PASSWORD)).await;
    let image = images.manifest(REPOSITORY, &served.digest).await.unwrap();
    served.front.cut_next_blob(1_000_000);
    images.blob(REPOSITORY, &image.layers[0]).unwrap().try_for_each(|_| async { Ok(()) }).await.unwrap();
    assert_eq!(served.front.seen().ranges, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_or_wrong_password_is_refused_and_not_shown() {
    let served = serve();
    let location = served.registry.location();
    let wrong = docker_config(served.dir.path(), &location, "hunter2");
    for options in [wrong, quick()] {
        let images = connect(&location, &options).await;
        let error = images.resolve(REPOSITORY, &version()).await.unwrap_err();
        assert_eq!(error.as_str(), "unauthorized");
        assert!(!format!("{error} {error:?} {images:?} {options:?}").contains("hunter2"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn corrected_password_is_used() {
    let served = serve();
    let location = served.registry.location();
    let options = docker_config(served.dir.path(), &location, "hunter2");
    let images = connect(&location, &options).await;
    assert!(images.resolve(REPOSITORY, &version()).await.is_err());
    docker_config(served.dir.path(), &location, PASSWORD);
    assert_eq!(images.resolve(REPOSITORY, &version()).await.unwrap(), served.digest);
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_image_is_named() {
    let served = serve();
    let location = served.registry.location();
    let images = connect(&location, &docker_config(served.dir.path(), &location, PASSWORD)).await;
    let other: ContainerVersion = TAG.replace('0', "9").parse().unwrap();
    let error = images.resolve(REPOSITORY, &other).await.unwrap_err();
    assert_eq!(error.as_str(), "not_found");
    assert!(error.to_string().contains(other.as_str()), "{error}");
    assert_eq!(images.list("csharp-test-runner").await.unwrap_err().as_str(), "not_found");
    let unreachable = connect("127.0.0.1:1", &quick()).await;
    assert_eq!(unreachable.resolve(REPOSITORY, &version()).await.unwrap_err().as_str(), "unreachable");
}

/// Adds a tag to the image in the registry.
async fn add_tag(served: &Served, manifest: &[u8], tag: &str) {
    let url = format!("http://{}/v2/{REPOSITORY}/manifests/{tag}", served.registry.location());
    let put = reqwest::Client::new()
        .put(url)
        .basic_auth(USER, Some(PASSWORD))
        .header(header::CONTENT_TYPE, "application/vnd.oci.image.manifest.v1+json")
        .body(manifest.to_vec());
    assert!(put.send().await.unwrap().status().is_success());
}

#[tokio::test(flavor = "multi_thread")]
async fn all_250_tags_are_listed() {
    let served = serve();
    let layout = Layout::at(&served.dir.path().join("layouts"));
    let other = Image::bare().layer(Layer::of(&[("other", 0o644, b"1")]));
    let other_digest = layout.add(REPOSITORY, "other", &other);
    served.registry.push(&layout.dir().join(REPOSITORY), "other", REPOSITORY);
    let read = |digest: &str| std::fs::read(layout.blob(REPOSITORY, digest)).unwrap();
    let manifests = [read(served.digest.as_str()), read(&other_digest)];
    for number in 0..248 {
        add_tag(&served, &manifests[number % 2], &format!("git-{number:040}")).await;
    }
    for location in [served.registry.location(), served.front.location()] {
        let options = docker_config(served.dir.path(), &location, PASSWORD);
        let list = connect(&location, &options).await.list(REPOSITORY).await.unwrap();
        let counts: BTreeMap<_, _> =
            list.iter().map(|(digest, tags)| (digest.as_str(), tags.len())).collect();
        assert_eq!(counts, BTreeMap::from([(served.digest.as_str(), 125), (other_digest.as_str(), 125)]));
    }
}

/// A registry that requires a token, and the server that gives the token for a password.
async fn serve_token(State(asked): State<Arc<Mutex<Vec<String>>>>, request: Request) -> Response {
    let authorization = request.headers().get(header::AUTHORIZATION).map(|value| value.to_str().unwrap());
    let path = request.uri().to_string();
    asked.lock().unwrap().push(path.clone());
    let host = request.headers()[header::HOST].to_str().unwrap();
    match (path.starts_with("/token"), authorization) {
        (true, Some(basic)) if basic.starts_with("Basic ") => {
            axum::Json(json!({"token": "t0ken"})).into_response()
        }
        (true, _) => StatusCode::UNAUTHORIZED.into_response(),
        (false, Some("Bearer t0ken")) => axum::Json(json!({"tags": []})).into_response(),
        (false, _) => {
            let challenge = format!("Bearer realm=\"http://{host}/token\",service=\"tests\"");
            (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, challenge)]).into_response()
        }
    }
}

#[tokio::test]
async fn bearer_token_is_fetched_for_registry() {
    let asked = Arc::<Mutex<Vec<String>>>::default();
    let app = axum::Router::new().fallback(serve_token).with_state(Arc::clone(&asked));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let location = listener.local_addr().unwrap().to_string();
    let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let dir = TempDir::new().unwrap();
    let images = connect(&location, &docker_config(dir.path(), &location, PASSWORD)).await;
    assert!(images.list(REPOSITORY).await.unwrap().is_empty());
    assert!(images.list(REPOSITORY).await.unwrap().is_empty());
    server.abort();
    let tokens: Vec<String> =
        asked.lock().unwrap().iter().filter(|p| p.starts_with("/token")).cloned().collect();
    assert_eq!(tokens, [format!("/token?scope=repository%3A{REPOSITORY}%3Apull&service=tests")]);
}
