//! Manifests and indexes: what they are, and what is read of them. A document must be exactly one of the two, and
//! say so everywhere in the same way, or the same digest could mean two things (CVE-2021-41190).

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::IgnoredAny;
use sha2::{Digest as _, Sha256};
use trackyard_protocol::version::Digest;

use crate::error::Error;

/// The largest manifest, index or configuration that is read.
pub(crate) const MAX_DOCUMENT: u64 = 4 << 20;

pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub(crate) const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// A document as a place gave it: unverified bytes, and the media type that came beside them.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    pub(crate) media_type: Option<String>,
    pub(crate) bytes: Bytes,
}

/// What names a document or blob.
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
    /// A statement about an image, beside it in an index; no image itself.
    pub(crate) fn is_attestation(&self) -> bool {
        let kind = self.annotations.as_ref().and_then(|all| all.get("vnd.docker.reference.type"));
        let platform = self.platform.as_ref();
        kind.is_some_and(|kind| kind == "attestation-manifest")
            || platform.is_some_and(|p| p.os == "unknown" && p.architecture == "unknown")
    }
}

/// What an image was built for.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Platform {
    pub(crate) architecture: String,
    pub(crate) os: String,
    #[serde(default)]
    pub(crate) variant: Option<String>,
}

/// A document whose kind is known.
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
struct Shape {
    schema_version: u32,
    media_type: Option<String>,
    config: Option<IgnoredAny>,
    layers: Option<IgnoredAny>,
    fs_layers: Option<IgnoredAny>,
    manifests: Option<IgnoredAny>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Manifest,
    Index,
}

impl Document {
    /// The digest of the bytes.
    pub(crate) fn digest(&self) -> Digest {
        Digest::from_sha256(&Sha256::digest(&self.bytes).into())
    }

    /// The bytes must be those that `expected` names.
    pub(crate) fn verify(&self, what: &str, expected: &Digest) -> Result<(), Error> {
        let found = self.digest();
        if found == *expected {
            return Ok(());
        }
        Err(Error::DigestMismatch {
            what: what.to_owned(),
            expected: expected.to_string(),
            found: found.to_string(),
        })
    }

    /// Reads it as what it says it is.
    pub(crate) fn parse(&self, what: &str) -> Result<Parsed, Error> {
        let malformed = |e: serde_json::Error| Error::malformed(what, e);
        match self.kind(what)? {
            Kind::Manifest => serde_json::from_slice(&self.bytes).map(Parsed::Manifest).map_err(malformed),
            Kind::Index => serde_json::from_slice(&self.bytes).map(Parsed::Index).map_err(malformed),
        }
    }

    fn kind(&self, what: &str) -> Result<Kind, Error> {
        let shape: Shape = serde_json::from_slice(&self.bytes).map_err(|e| Error::malformed(what, e))?;
        if shape.schema_version != 2 {
            return Err(Error::malformed(what, "its schemaVersion is not 2"));
        }
        let by_shape = shape.kind().ok_or_else(|| {
            Error::malformed(what, "neither just a manifest (config, layers) nor just an index (manifests)")
        })?;
        let beside = self.media_type.as_deref().filter(|t| !is_vague(t));
        for said in [beside, shape.media_type.as_deref()].into_iter().flatten() {
            if kind_of(said).ok_or_else(|| Error::media_type(what, said))? != by_shape {
                return Err(Error::malformed(what, "its media type contradicts its content"));
            }
        }
        Ok(by_shape)
    }
}

impl Shape {
    fn kind(&self) -> Option<Kind> {
        match (&self.config, &self.layers, &self.fs_layers, &self.manifests) {
            (Some(_), Some(_), None, None) => Some(Kind::Manifest),
            (None, None, None, Some(_)) => Some(Kind::Index),
            _ => None,
        }
    }
}

/// A simple file server knows no better.
fn is_vague(media_type: &str) -> bool {
    matches!(media_type, "application/json" | "application/octet-stream" | "")
}

fn kind_of(media_type: &str) -> Option<Kind> {
    match media_type {
        OCI_MANIFEST | DOCKER_MANIFEST => Some(Kind::Manifest),
        OCI_INDEX | DOCKER_INDEX => Some(Kind::Index),
        _ => None,
    }
}

/// This machine's architecture, as images name it.
pub(crate) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

impl Index {
    /// The manifest for Linux on `architecture`. Attestations (`unknown/unknown`) never match.
    pub(crate) fn choose(&self, what: &str, architecture: &str) -> Result<&Descriptor, Error> {
        let matches = |p: &Platform| p.os == "linux" && p.architecture == architecture && p.is_baseline();
        let found = self
            .manifests
            .iter()
            .filter(|entry| kind_of(&entry.media_type) == Some(Kind::Manifest))
            .find(|entry| entry.platform.as_ref().is_some_and(matches));
        found
            .ok_or_else(|| Error::Platform { what: what.to_owned(), wanted: format!("linux/{architecture}") })
    }
}

impl Platform {
    /// What every processor of the architecture can run; `amd64/v3`, say, is not.
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
    fn a_document_is_one_thing(
        #[case] media_type: Option<&str>,
        #[case] more: Value,
        #[case] error: Option<&str>,
    ) {
        let mut value = manifest();
        value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let parsed = document(media_type, &value).parse("it");
        assert_eq!(parsed.as_ref().err().map(Error::as_str), error);
        assert_eq!(matches!(parsed, Ok(Parsed::Manifest(_))), error.is_none());
    }

    #[test]
    fn any_bytes_are_a_document_or_an_error() {
        for bytes in ["", "[]", "null", "{", "{\"schemaVersion\": 2, \"manifests\": [1]}", &"[".repeat(9999)]
        {
            let document = Document { media_type: None, bytes: bytes.to_owned().into() };
            assert_eq!(document.parse("it").unwrap_err().as_str(), "malformed");
        }
    }

    #[test]
    fn the_index_entry_for_this_platform_is_chosen() {
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
        let chosen = |arch| index.choose("it", arch).map(|d| d.digest.clone());
        assert_eq!(chosen("amd64"), Ok(Digest::from_sha256(&[5; 32])));
        assert_eq!(chosen("arm64"), Ok(Digest::from_sha256(&[4; 32])));
        assert_eq!(chosen("riscv64").unwrap_err().as_str(), "platform");
    }
}
