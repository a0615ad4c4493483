//! An image: its manifest and configuration, checked against each other and against our limits.

use serde::{Deserialize, Serialize};
use trackyard_protocol::version::Digest;

use crate::document::{Descriptor, MAX_DOCUMENT_BYTES, Manifest};
use crate::error::ImageError;

/// Overlayfs can stack a few hundred; builders make at most this many.
const MAX_LAYERS: usize = 127;
const MAX_ENV_ENTRIES: usize = 512;
const MAX_ENV_BYTES: usize = 128 << 10;

const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";

/// An image for this machine, checked and ready to be pulled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The manifest's digest.
    pub digest: Digest,
    /// The layers, from bottom to top.
    pub layers: Vec<Layer>,
    /// The environment, as `NAME=value` entries.
    pub env: Vec<String>,
    /// The sum of the layers' transfer sizes.
    pub total_size: u64,
}

/// One layer: a tar file, usually compressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// The digest of the transferred (compressed) bytes.
    pub digest: Digest,
    /// The digest of the uncompressed tar file.
    pub diff_id: Digest,
    /// The size of the transferred (compressed) bytes.
    pub size: u64,
    /// The compression of the tar file.
    pub compression: Compression,
}

/// How a layer is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Compression {
    /// No compression.
    None,
    /// gzip, possibly with several members.
    Gzip,
    /// zstd, possibly with several frames.
    Zstd,
}

#[derive(Deserialize)]
struct ImageConfig {
    architecture: String,
    os: String,
    #[serde(default)]
    config: Option<ExecutionConfig>,
    rootfs: RootFs,
}

#[derive(Deserialize)]
struct ExecutionConfig {
    #[serde(rename = "Env", default)]
    env: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct RootFs {
    #[serde(rename = "type")]
    kind: String,
    diff_ids: Vec<Digest>,
}

/// Checks a manifest before its configuration is requested.
pub(crate) fn check_manifest(what: &str, manifest: &Manifest) -> Result<(), ImageError> {
    let config = &manifest.config;
    if ![OCI_CONFIG, DOCKER_CONFIG].contains(&config.media_type.as_str()) {
        return Err(ImageError::media_type(format!("the configuration of {what}"), &config.media_type));
    }
    if config.size > MAX_DOCUMENT_BYTES {
        return Err(ImageError::TooLarge {
            what: format!("the configuration of {what}"),
            limit: MAX_DOCUMENT_BYTES,
        });
    }
    if manifest.layers.is_empty() {
        return Err(ImageError::malformed(what, "it has no layers"));
    }
    if manifest.layers.len() > MAX_LAYERS {
        return Err(ImageError::TooLarge { what: format!("the number of layers of {what}"), limit: 127 });
    }
    manifest.layers.iter().try_for_each(|layer| compression(what, layer).map(drop))
}

/// Combines a checked manifest and its verified configuration.
pub(crate) fn assemble(
    what: &str,
    digest: Digest,
    manifest: &Manifest,
    config: &[u8],
    architecture: &str,
) -> Result<Image, ImageError> {
    let config: ImageConfig = serde_json::from_slice(config)
        .map_err(|e| ImageError::malformed(format!("the configuration of {what}"), e))?;
    if config.os != "linux" || config.architecture != architecture {
        return Err(ImageError::Platform { what: what.to_owned(), wanted: format!("linux/{architecture}") });
    }
    let env = environment(what, config.config.and_then(|c| c.env).unwrap_or_default())?;
    let layers = layers(what, &manifest.layers, &config.rootfs)?;
    let total_size = layers
        .iter()
        .try_fold(0_u64, |sum, layer| sum.checked_add(layer.size))
        .ok_or_else(|| ImageError::TooLarge { what: what.to_owned(), limit: u64::MAX })?;
    Ok(Image { digest, layers, env, total_size })
}

fn layers(what: &str, descriptors: &[Descriptor], rootfs: &RootFs) -> Result<Vec<Layer>, ImageError> {
    if rootfs.kind != "layers" || rootfs.diff_ids.len() != descriptors.len() {
        return Err(ImageError::malformed(what, "the configuration does not list the manifest's layers"));
    }
    descriptors
        .iter()
        .zip(&rootfs.diff_ids)
        .map(|(layer, diff_id)| {
            Ok(Layer {
                digest: layer.digest.clone(),
                diff_id: diff_id.clone(),
                size: layer.size,
                compression: compression(what, layer)?,
            })
        })
        .collect()
}

fn compression(what: &str, layer: &Descriptor) -> Result<Compression, ImageError> {
    match layer.media_type.as_str() {
        "application/vnd.oci.image.layer.v1.tar" | "application/vnd.docker.image.rootfs.diff.tar" => {
            Ok(Compression::None)
        }
        "application/vnd.oci.image.layer.v1.tar+gzip"
        | "application/vnd.docker.image.rootfs.diff.tar.gzip" => Ok(Compression::Gzip),
        "application/vnd.oci.image.layer.v1.tar+zstd"
        | "application/vnd.docker.image.rootfs.diff.tar.zstd" => Ok(Compression::Zstd),
        other => Err(ImageError::media_type(format!("a layer of {what}"), other)),
    }
}

/// Checks that each entry is `NAME=value`. If a name occurs twice, the last entry wins.
fn environment(what: &str, given: Vec<String>) -> Result<Vec<String>, ImageError> {
    let size: usize = given.iter().map(|entry| entry.len() + 1).sum();
    if given.len() > MAX_ENV_ENTRIES || size > MAX_ENV_BYTES {
        return Err(ImageError::TooLarge { what: format!("the Env of {what}"), limit: 128 << 10 });
    }
    let mut env: Vec<String> = Vec::with_capacity(given.len());
    for entry in given {
        let name = name_of(&entry).filter(|_| !entry.contains('\0'));
        let Some(name) = name else {
            return Err(ImageError::malformed(format!("the Env of {what}"), "an entry is not NAME=value"));
        };
        env.retain(|earlier| name_of(earlier) != Some(name));
        env.push(entry);
    }
    Ok(env)
}

fn name_of(entry: &str) -> Option<&str> {
    entry.split_once('=').map(|(name, _)| name).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::{Value, json};

    const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

    fn manifest(layers: usize, config_type: &str, layer_type: &str) -> Manifest {
        let entry = |media_type: &str, size: u64| json!({"mediaType": media_type, "digest": Digest::from_sha256(&[1; 32]), "size": size});
        serde_json::from_value(
            json!({"config": entry(config_type, 7), "layers": vec![entry(layer_type, 10); layers]}),
        )
        .unwrap()
    }

    fn config(more: &Value) -> Vec<u8> {
        let diff_ids = [Digest::from_sha256(&[2; 32]), Digest::from_sha256(&[3; 32])];
        let mut config = json!({"architecture": "amd64", "os": "linux", "config": {"Env": ["A=b=c"]},
            "rootfs": {"type": "layers", "diff_ids": diff_ids}});
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        config.to_string().into_bytes()
    }

    #[rstest]
    #[case(1, OCI_CONFIG, LAYER, None)]
    #[case(127, DOCKER_CONFIG, "application/vnd.docker.image.rootfs.diff.tar.gzip", None)]
    #[case(0, OCI_CONFIG, LAYER, Some("malformed"))]
    #[case(128, OCI_CONFIG, LAYER, Some("too_large"))]
    #[case(1, "application/vnd.wasm.config.v1+json", LAYER, Some("media_type"))]
    #[case(1, OCI_CONFIG, "application/vnd.oci.image.layer.nondistributable.v1.tar", Some("media_type"))]
    fn manifests_are_checked(
        #[case] layers: usize,
        #[case] config: &str,
        #[case] layer: &str,
        #[case] error: Option<&str>,
    ) {
        let checked = check_manifest("it", &manifest(layers, config, layer));
        assert_eq!(checked.err().as_ref().map(ImageError::as_str), error);
    }

    #[rstest]
    #[case(json!({}), None)]
    #[case(json!({"config": null}), None)]
    #[case(json!({"config": {"Env": null}}), None)]
    #[case(json!({"os": "windows"}), Some("platform"))]
    #[case(json!({"architecture": "arm64"}), Some("platform"))]
    #[case(json!({"rootfs": {"type": "layers", "diff_ids": []}}), Some("malformed"))]
    #[case(json!({"rootfs": {"type": "other", "diff_ids": ["sha256:0"]}}), Some("malformed"))]
    #[case(json!({"config": {"Env": ["NOVALUE"]}}), Some("malformed"))]
    #[case(json!({"config": {"Env": ["=x"]}}), Some("malformed"))]
    #[case(json!({"config": {"Env": ["A=\u{0}"]}}), Some("malformed"))]
    #[case(json!({"config": {"Env": [format!("A={}", "x".repeat(200_000))]}}), Some("too_large"))]
    fn configurations_are_checked(#[case] more: Value, #[case] error: Option<&str>) {
        let digest = Digest::from_sha256(&[9; 32]);
        let image = assemble("it", digest, &manifest(2, OCI_CONFIG, LAYER), &config(&more), "amd64");
        assert_eq!(image.as_ref().err().map(ImageError::as_str), error);
        assert_eq!(image.map_or(20, |image| image.total_size), 20);
    }

    #[test]
    fn last_entry_of_a_name_wins() {
        let env = ["A=1", "B=", "A=2"].map(str::to_owned).to_vec();
        assert_eq!(environment("it", env).unwrap(), ["B=", "A=2"]);
    }
}
