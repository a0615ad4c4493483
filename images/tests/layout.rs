//! Images in a layout directory: the public client, and invalid directories.

#![cfg(test)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use futures_util::TryStreamExt;
use rstest::rstest;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use trackyard_images::{Compression, ImageError, ImageOptions, Images};
use trackyard_protocol::source::{ImageSource, ImageSourceKind, default_repositories};
use trackyard_protocol::version::{ContainerVersion, Digest};

const OCI: &str = "application/vnd.oci.image";
const SHA: &str = "0123456789abcdef0123456789abcdef01234567";
const LAYER: &[u8] = b"the bytes of a layer";

fn digest(bytes: &[u8]) -> Digest {
    Digest::from_sha256(&Sha256::digest(bytes).into())
}

/// Writes a blob and returns its descriptor.
fn put(repository: &Path, media_type: &str, bytes: &[u8]) -> Value {
    let dir = repository.join("blobs/sha256");
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join(digest(bytes).hex()), bytes).unwrap();
    json!({"mediaType": media_type, "digest": digest(bytes), "size": bytes.len()})
}

fn architecture() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }
}

/// Writes an image of one layer, with an index of its own. Returns the descriptors of both.
fn image(repository: &Path) -> (Value, Value) {
    let layer = put(repository, &format!("{OCI}.layer.v1.tar"), LAYER);
    let config = json!({"os": "linux", "architecture": architecture(), "config": {"Env": ["LANG=C"]},
        "rootfs": {"type": "layers", "diff_ids": [digest(LAYER)]}});
    let config = put(repository, &format!("{OCI}.config.v1+json"), config.to_string().as_bytes());
    let manifest = json!({"schemaVersion": 2, "config": config, "layers": [layer]}).to_string();
    let mut manifest = put(repository, &format!("{OCI}.manifest.v1+json"), manifest.as_bytes());
    manifest["platform"] = json!({"os": "linux", "architecture": architecture()});
    let index = json!({"schemaVersion": 2, "manifests": [manifest]}).to_string();
    (put(repository, &format!("{OCI}.index.v1+json"), index.as_bytes()), manifest)
}

fn name(repository: &Path, descriptors: &[(&str, &Value)]) {
    let named = |(name, descriptor): &(&str, &Value)| {
        let mut descriptor = (*descriptor).clone();
        descriptor["annotations"] = json!({"org.opencontainers.image.ref.name": name});
        descriptor
    };
    let manifests: Vec<Value> = descriptors.iter().map(named).collect();
    let index = json!({"schemaVersion": 2, "manifests": manifests});
    fs::write(repository.join("index.json"), index.to_string()).unwrap();
}

async fn connect(dir: &Path) -> Images {
    let source = ImageSource {
        kind: ImageSourceKind::Layout,
        location: dir.to_str().unwrap().to_owned(),
        repositories: default_repositories(),
    };
    let options =
        ImageOptions { first_backoff: Duration::from_millis(1), max_attempts: 2, ..ImageOptions::default() };
    Images::connect(&source, &options).await.unwrap()
}

fn version() -> ContainerVersion {
    format!("git-{SHA}").parse().unwrap()
}

#[tokio::test]
async fn version_is_resolved_listed_and_pulled() {
    let dir = tempfile::tempdir().unwrap();
    let repository = dir.path().join("ruby-test-runner");
    let (index, manifest) = image(&repository);
    let tag = version().to_string();
    name(&repository, &[(&tag, &index), ("latest", &index)]);
    let images = connect(dir.path()).await;

    let resolved = images.resolve("ruby-test-runner", &version()).await.unwrap();
    assert_eq!(json!(resolved), manifest["digest"]);
    let list = images.list("ruby-test-runner").await.unwrap();
    assert_eq!(json!(list), json!({index["digest"].as_str().unwrap(): [tag, "latest"]}));
    let image = images.manifest("ruby-test-runner", &resolved).await.unwrap();
    assert_eq!((image.env, image.total_size), (vec!["LANG=C".to_owned()], LAYER.len() as u64));
    assert_eq!(image.layers[0].compression, Compression::None);
    let bytes: Vec<_> =
        images.blob("ruby-test-runner", &image.layers[0]).unwrap().try_collect().await.unwrap();
    assert_eq!(bytes.concat(), LAYER);
}

#[tokio::test]
async fn indexes_and_ambiguous_names_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let repository = dir.path().join("r");
    let (index, manifest) = image(&repository);
    let tag = version().to_string();
    name(&repository, &[(&tag, &index), (&tag, &manifest)]);
    let images = connect(dir.path()).await;
    let index: Digest = serde_json::from_value(index["digest"].clone()).unwrap();
    assert_eq!(images.manifest("r", &index).await.unwrap_err().as_str(), "media_type");
    assert_eq!(images.resolve("r", &version()).await.unwrap_err().as_str(), "malformed");
    assert_eq!(images.list("missing").await.unwrap_err().as_str(), "not_found");
    assert_eq!(images.list("../r").await.unwrap_err().as_str(), "configuration");
}

async fn pull(dir: &Path, manifest: &Value) -> Result<(), ImageError> {
    let images = connect(dir).await;
    let digest = serde_json::from_value(manifest["digest"].clone()).unwrap();
    let image = images.manifest("r", &digest).await?;
    images.blob("r", &image.layers[0])?.try_for_each(|_| async { Ok(()) }).await
}

#[rstest]
#[case::manifest("manifest", "digest_mismatch")]
#[case::layer("layer", "digest_mismatch")]
#[tokio::test]
async fn modified_blobs_are_refused(#[case] which: &str, #[case] error: &str) {
    let dir = tempfile::tempdir().unwrap();
    let repository = dir.path().join("r");
    let (_, manifest) = image(&repository);
    let hex = manifest["digest"].as_str().unwrap().trim_start_matches("sha256:").to_owned();
    let hex = if which == "layer" { digest(LAYER).hex().to_owned() } else { hex };
    let path = repository.join("blobs/sha256").join(hex);
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&path, bytes).unwrap();
    assert_eq!(pull(dir.path(), &manifest).await.unwrap_err().as_str(), error);
}

#[rstest]
#[case::shorter(&LAYER[..5], "truncated")]
#[case::longer(b"the bytes of a layer and more", "too_large")]
#[tokio::test]
async fn layers_of_the_wrong_size_are_refused(#[case] bytes: &[u8], #[case] error: &str) {
    let dir = tempfile::tempdir().unwrap();
    let repository = dir.path().join("r");
    let (_, manifest) = image(&repository);
    fs::write(repository.join("blobs/sha256").join(digest(LAYER).hex()), bytes).unwrap();
    assert_eq!(pull(dir.path(), &manifest).await.unwrap_err().as_str(), error);
}

#[tokio::test]
async fn symlinks_and_dirs_are_refused() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("index.json"), r#"{"schemaVersion": 2, "manifests": []}"#).unwrap();
    let dir = tempfile::tempdir().unwrap();
    symlink(outside.path(), dir.path().join("r")).unwrap();
    fs::create_dir_all(dir.path().join("pipe/index.json")).unwrap();
    let images = connect(dir.path()).await;
    assert_eq!(images.list("r").await.unwrap_err().as_str(), "malformed");
    assert_eq!(images.list("pipe").await.unwrap_err().as_str(), "malformed");
}
