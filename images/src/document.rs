//! Manifests and indexes. A document must be exactly one of the two, and its media types must agree, or the same digest
//! could mean two things (CVE-2021-41190).

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::IgnoredAny;
use sha2::{Digest as _, Sha256};
use trackyard_protocol::version::Digest;

use crate::error::ImageError;

/// Maximum size of a manifest, index or configuration.
pub(crate) const MAX_DOCUMENT_BYTES: u64 = 4 << 20;

pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub(crate) const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// A document as an image source returned it: unverified bytes, and the media type that came with them.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    pub(crate) media_type: Option<String>,
    pub(crate) bytes: Bytes,
}

/// A reference to a document or blob.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    pub(crate) media_type: String,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    pub(crate) platform: Option<Platform>,
    #[serde(default)]
    pub(crate) annotations: Option<BTreeMap<String, String>>,
}

impl Descriptor {
    /// Whether this is a statement about an image of the same index, not an image.
    pub(crate) fn is_attestation(&self) -> bool {
        let kind = self.annotations.as_ref().and_then(|all| all.get("vnd.docker.reference.type"));
        let platform = self.platform.as_ref();
        kind.is_some_and(|kind| kind == "attestation-manifest")
            || platform.is_some_and(|p| p.os == "unknown" && p.architecture == "unknown")
    }
}

/// The platform that an image was built for.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Platform {
    pub(crate) architecture: String,
    pub(crate) os: String,
    #[serde(default)]
    pub(crate) variant: Option<String>,
}

/// A document of a known kind.
#[derive(Debug)]
pub(crate) enum Parsed {
    Manifest(Manifest),
    Index(Index),
}

#[derive(Debug, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) config: Descriptor,
    pub(crate) layers: Vec<Descriptor>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Index {
    pub(crate) manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DocumentFields {
    schema_version: u32,
    media_type: Option<String>,
    config: Option<IgnoredAny>,
    layers: Option<IgnoredAny>,
    fs_layers: Option<IgnoredAny>,
    manifests: Option<IgnoredAny>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum DocumentKind {
    Manifest,
    Index,
}

impl Document {
    /// Returns the digest of the bytes.
    pub(crate) fn digest(&self) -> Digest {
        Digest::from_sha256(&Sha256::digest(&self.bytes).into())
    }

    /// Checks that the bytes have the digest `expected`.
    pub(crate) fn verify(&self, what: &str, expected: &Digest) -> Result<(), ImageError> {
        let found = self.digest();
        if found == *expected {
            return Ok(());
        }
        Err(ImageError::DigestMismatch {
            what: what.to_owned(),
            expected: expected.to_string(),
            found: found.to_string(),
        })
    }

    /// Parses the document by its kind.
    pub(crate) fn parse(&self, what: &str) -> Result<Parsed, ImageError> {
        let malformed = |e: serde_json::Error| ImageError::malformed(what, e);
        match self.kind(what)? {
            DocumentKind::Manifest => {
                serde_json::from_slice(&self.bytes).map(Parsed::Manifest).map_err(malformed)
            }
            DocumentKind::Index => serde_json::from_slice(&self.bytes).map(Parsed::Index).map_err(malformed),
        }
    }

    fn kind(&self, what: &str) -> Result<DocumentKind, ImageError> {
        let fields: DocumentFields =
            serde_json::from_slice(&self.bytes).map_err(|e| ImageError::malformed(what, e))?;
        if fields.schema_version != 2 {
            return Err(ImageError::malformed(what, "its schemaVersion is not 2"));
        }
        let by_fields = fields.kind().ok_or_else(|| {
            ImageError::malformed(
                what,
                "neither just a manifest (config, layers) nor just an index (manifests)",
            )
        })?;
        let received = self.media_type.as_deref().filter(|t| !is_generic(t));
        for media_type in [received, fields.media_type.as_deref()].into_iter().flatten() {
            if kind_of(media_type).ok_or_else(|| ImageError::media_type(what, media_type))? != by_fields {
                return Err(ImageError::malformed(what, "its media type contradicts its content"));
            }
        }
        Ok(by_fields)
    }
}

impl DocumentFields {
    fn kind(&self) -> Option<DocumentKind> {
        match (&self.config, &self.layers, &self.fs_layers, &self.manifests) {
            (Some(_), Some(_), None, None) => Some(DocumentKind::Manifest),
            (None, None, None, Some(_)) => Some(DocumentKind::Index),
            _ => None,
        }
    }
}

/// Whether the media type says nothing, as that of a plain file server.
fn is_generic(media_type: &str) -> bool {
    matches!(media_type, "application/json" | "application/octet-stream" | "")
}

fn kind_of(media_type: &str) -> Option<DocumentKind> {
    match media_type {
        OCI_MANIFEST | DOCKER_MANIFEST => Some(DocumentKind::Manifest),
        OCI_INDEX | DOCKER_INDEX => Some(DocumentKind::Index),
        _ => None,
    }
}

/// Returns this machine's architecture under its OCI name.
pub(crate) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

impl Index {
    /// Returns the manifest for Linux on `architecture`. Attestations (`unknown/unknown`) never match.
    pub(crate) fn for_platform(&self, what: &str, architecture: &str) -> Result<&Descriptor, ImageError> {
        let found = self
            .manifests
            .iter()
            .filter(|entry| kind_of(&entry.media_type) == Some(DocumentKind::Manifest))
            .find(|entry| entry.platform.as_ref().is_some_and(|platform| platform.suits(architecture)));
        found.ok_or_else(|| ImageError::Platform {
            what: what.to_owned(),
            wanted: format!("linux/{architecture}"),
        })
    }
}

impl Platform {
    fn suits(&self, architecture: &str) -> bool {
        self.os == "linux" && self.architecture == architecture && self.is_baseline()
    }

    /// Whether every processor of the architecture can run the variant; `amd64/v3`, for one, is not.
    fn is_baseline(&self) -> bool {
        let baseline = if self.architecture == "arm64" { "v8" } else { "v1" };
        self.variant.as_deref().is_none_or(|v| v.is_empty() || v == baseline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::{Value, json};

    fn descriptor(media_type: &str, byte: u8) -> Value {
        json!({"mediaType": media_type, "digest": Digest::from_sha256(&[byte; 32]), "size": 2})
    }

    fn document(media_type: Option<&str>, value: &Value) -> Document {
        Document { media_type: media_type.map(str::to_owned), bytes: value.to_string().into() }
    }

    fn manifest() -> Value {
        json!({"schemaVersion": 2, "config": descriptor("c", 1), "layers": [descriptor("l", 2)]})
    }

    #[rstest]
    #[case(Some(OCI_MANIFEST), json!({}), None)]
    #[case(None, json!({}), None)]
    #[case(Some("application/json"), json!({"mediaType": DOCKER_MANIFEST}), None)]
    #[case(Some(OCI_INDEX), json!({}), Some("malformed"))]
    #[case(None, json!({"mediaType": OCI_INDEX}), Some("malformed"))]
    #[case(Some(OCI_MANIFEST), json!({"manifests": []}), Some("malformed"))]
    #[case(Some(OCI_MANIFEST), json!({"fsLayers": []}), Some("malformed"))]
    #[case(Some(OCI_MANIFEST), json!({"schemaVersion": 1}), Some("malformed"))]
    #[case(Some("text/html"), json!({}), Some("media_type"))]
    fn a_document_has_one_kind(
        #[case] media_type: Option<&str>,
        #[case] more: Value,
        #[case] error: Option<&str>,
    ) {
        let mut value = manifest();
        value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let parsed = document(media_type, &value).parse("it");
        assert_eq!(parsed.as_ref().err().map(ImageError::as_str), error);
        assert_eq!(matches!(parsed, Ok(Parsed::Manifest(_))), error.is_none());
    }

    #[test]
    fn invalid_documents_are_malformed() {
        for bytes in ["", "[]", "null", "{", "{\"schemaVersion\": 2, \"manifests\": [1]}", &"[".repeat(9999)]
        {
            let document = Document { media_type: None, bytes: bytes.to_owned().into() };
            assert_eq!(document.parse("it").unwrap_err().as_str(), "malformed");
        }
    }

    #[test]
    fn index_entry_matches_the_platform() {
        let entry = |byte, os: &str, arch: &str, variant: Value| {
            let mut entry = descriptor(OCI_MANIFEST, byte);
            entry["platform"] = json!({"os": os, "architecture": arch, "variant": variant});
            entry
        };
        let index = json!({"schemaVersion": 2, "manifests": [
            entry(1, "unknown", "unknown", Value::Null),
            entry(2, "windows", "amd64", Value::Null),
            entry(3, "linux", "amd64", json!("v3")),
            entry(4, "linux", "arm64", json!("v8")),
            entry(5, "linux", "amd64", Value::Null),
            descriptor(OCI_MANIFEST, 6),
        ]});
        let Parsed::Index(index) = document(Some(OCI_INDEX), &index).parse("it").unwrap() else {
            panic!("not an index");
        };
        let chosen = |arch| index.for_platform("it", arch).map(|d| d.digest.clone());
        assert_eq!(chosen("amd64"), Ok(Digest::from_sha256(&[5; 32])));
        assert_eq!(chosen("arm64"), Ok(Digest::from_sha256(&[4; 32])));
        assert_eq!(chosen("riscv64").unwrap_err().as_str(), "platform");
    }
}
