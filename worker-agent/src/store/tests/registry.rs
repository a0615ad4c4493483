//! A registry in this process, with images made of tar streams. It counts requests.

use std::collections::HashMap;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{self, Path};
use axum::http::StatusCode;
use axum::routing::get;
use flate2::write::GzEncoder;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::task::JoinHandle;
use trackyard_images::{ImageOptions, Images};
use trackyard_protocol::source::{ImageSource, ImageSourceKind, default_repositories};
use trackyard_protocol::version::Digest;

use crate::store::unpack::tests::fixtures::{Tar, require_root};

pub(crate) const REPOSITORY: &str = "ruby-test-runner";
const OCI: &str = "application/vnd.oci.image";

#[derive(Default)]
struct State {
    blobs: HashMap<String, Vec<u8>>,
    requests: Vec<String>,
}

/// The registry. It stops when this is dropped.
pub(crate) struct Registry {
    state: Arc<Mutex<State>>,
    pub(crate) images: Images,
    server: JoinHandle<()>,
}

/// A layer: how it is transferred, and the digest of its content in the configuration.
#[derive(Clone)]
pub(crate) struct Packed {
    pub(crate) media_type: &'static str,
    pub(crate) bytes: Vec<u8>,
    pub(crate) diff_id: Digest,
}

pub(crate) fn digest(bytes: &[u8]) -> Digest {
    Digest::from_sha256(&Sha256::digest(bytes).into())
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn packed(tar: Tar) -> Packed {
    let tar = tar.finish();
    Packed { media_type: "tar+gzip", bytes: gzip(&tar), diff_id: digest(&tar) }
}

impl Registry {
    pub(crate) async fn start() -> Self {
        require_root();
        let state = Arc::<Mutex<State>>::default();
        let app = Router::new()
            .route("/v2/{repository}/{kind}/{digest}", get(serve))
            .with_state(Arc::clone(&state));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let location = listener.local_addr().unwrap().to_string();
        let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        let source =
            ImageSource { kind: ImageSourceKind::Registry, location, repositories: default_repositories() };
        let options = ImageOptions {
            max_attempts: 2,
            first_backoff: Duration::from_millis(1),
            ..ImageOptions::default()
        };
        let images = Images::connect(&source, &options).await.unwrap();
        Self { state, images, server }
    }

    /// Adds an image, and returns its digest.
    pub(crate) fn image(&self, layers: &[Packed]) -> Digest {
        let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
        let diff_ids: Vec<_> = layers.iter().map(|layer| &layer.diff_id).collect();
        let config = json!({"os": "linux", "architecture": architecture, "config": {"Env": ["LANG=C"]},
            "rootfs": {"type": "layers", "diff_ids": diff_ids}});
        let config = self.put("config.v1+json", config.to_string().into_bytes());
        let put = |layer: &Packed| self.put(&format!("layer.v1.{}", layer.media_type), layer.bytes.clone());
        let layers: Vec<_> = layers.iter().map(put).collect();
        let manifest = json!({"schemaVersion": 2, "mediaType": format!("{OCI}.manifest.v1+json"),
            "config": config, "layers": layers});
        let manifest = manifest.to_string().into_bytes();
        self.put("manifest.v1+json", manifest.clone());
        digest(&manifest)
    }

    fn put(&self, media_type: &str, bytes: Vec<u8>) -> serde_json::Value {
        let descriptor = json!({"mediaType": format!("{OCI}.{media_type}"), "digest": digest(&bytes),
            "size": bytes.len()});
        self.state.lock().unwrap().blobs.insert(digest(&bytes).to_string(), bytes);
        descriptor
    }

    /// Replaces the bytes that are served for a digest.
    pub(crate) fn replace(&self, digest: &Digest, bytes: Vec<u8>) {
        self.state.lock().unwrap().blobs.insert(digest.to_string(), bytes);
    }

    /// Returns how often a digest was requested.
    pub(crate) fn requests(&self, digest: &Digest) -> usize {
        let state = self.state.lock().unwrap();
        state.requests.iter().filter(|requested| *requested == digest.as_str()).count()
    }

    pub(crate) fn total_requests(&self) -> usize {
        self.state.lock().unwrap().requests.len()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(
    extract::State(state): extract::State<Arc<Mutex<State>>>,
    Path((_, _, digest)): Path<(String, String, String)>,
) -> Result<Vec<u8>, StatusCode> {
    let mut state = state.lock().unwrap();
    state.requests.push(digest.clone());
    state.blobs.get(&digest).cloned().ok_or(StatusCode::NOT_FOUND)
}
