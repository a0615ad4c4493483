//! Writes a directory of OCI image layouts.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::image::{Image, digest};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// A directory with one layout per repository.
pub struct Layout {
    dir: PathBuf,
}

impl Layout {
    /// Uses the layouts below `dir`.
    #[must_use]
    pub fn at(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    /// Returns the directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Adds an image under a tag. Returns the manifest's digest.
    ///
    /// # Panics
    /// When the directory can't be written.
    pub fn add(&self, repository: &str, tag: &str, image: &Image) -> String {
        let config = image.config().to_string().into_bytes();
        let layers: Vec<Value> =
            image.layers().iter().map(|layer| self.put(repository, &layer.blob, LAYER)).collect();
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": self.put(repository, &config, CONFIG), "layers": layers,
        });
        let mut entry = self.put(repository, manifest.to_string().as_bytes(), MANIFEST);
        let name = entry.get("digest").and_then(Value::as_str).unwrap_or_default().to_owned();
        if let Some(entry) = entry.as_object_mut() {
            entry.insert("annotations".to_owned(), json!({"org.opencontainers.image.ref.name": tag}));
        }
        self.list(repository, entry);
        name
    }

    /// Returns the path of a blob, for tests that damage it.
    #[must_use]
    pub fn blob(&self, repository: &str, digest: &str) -> PathBuf {
        self.dir.join(repository).join("blobs/sha256").join(digest.trim_start_matches("sha256:"))
    }

    fn put(&self, repository: &str, bytes: &[u8], media_type: &str) -> Value {
        let digest = digest(bytes);
        let file = self.blob(repository, &digest);
        fs::create_dir_all(file.parent().unwrap_or(&file)).expect("the blobs' directory");
        fs::write(file, bytes).expect("write a blob");
        json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
    }

    fn list(&self, repository: &str, entry: Value) {
        let dir = self.dir.join(repository);
        fs::write(dir.join("oci-layout"), br#"{"imageLayoutVersion":"1.0.0"}"#).expect("write oci-layout");
        let file = dir.join("index.json");
        let mut manifests: Vec<Value> = fs::read(&file)
            .ok()
            .and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok())
            .and_then(|index| index.get("manifests").and_then(Value::as_array).cloned())
            .unwrap_or_default();
        manifests.push(entry);
        let index = json!({"schemaVersion": 2, "manifests": manifests});
        fs::write(file, index.to_string()).expect("write index.json");
    }
}
