//! Entry points for the fuzz targets in `fuzz/`, not for callers. Each decodes something that a registry, a layout
//! directory or a builder writes, without exposing crate-private types.

use reqwest::header::{HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use trackyard_protocol::version::Digest;

use crate::docker_config;
use crate::document::{Document, Parsed};
use crate::error::ImageError;
use crate::image::{Image, assemble, check_manifest};
use crate::release::to_layout::index::{self, Entry, IndexChange};
use crate::release::to_registry::location;
use crate::release::{ReleaseTags, Tag, TagMutability};
use crate::source::ecr::location::Location;
use crate::source::registry::auth::{Challenge, TokenAnswer};
use crate::source::registry::endpoint::Endpoint;
use crate::source::registry::tags;
use crate::{repository, tag};

const ARCHITECTURE: &str = "amd64";

/// A document's kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DocumentKind {
    /// A manifest: the number of its layers, and whether it passes the checks.
    Manifest(usize, Result<(), ImageError>),
    /// An index: the digest that it names for a platform.
    Index(Result<Digest, ImageError>),
}

/// Parses a manifest or an index.
///
/// # Errors
/// If it is neither.
pub fn parse_document(media_type: Option<&str>, bytes: &[u8]) -> Result<DocumentKind, ImageError> {
    Ok(match document_from(media_type, bytes).parse("it")? {
        Parsed::Manifest(manifest) => {
            DocumentKind::Manifest(manifest.layers.len(), check_manifest("it", &manifest))
        }
        Parsed::Index(index) => {
            DocumentKind::Index(index.for_platform("it", ARCHITECTURE).map(|entry| entry.digest.clone()))
        }
    })
}

/// Parses an image from a manifest and a configuration.
///
/// # Errors
/// If they are not one.
pub fn parse_image(manifest: &[u8], config: &[u8]) -> Result<Image, ImageError> {
    let document = document_from(None, manifest);
    let Parsed::Manifest(parsed) = document.parse("it")? else {
        return Err(ImageError::malformed("it", "it is an index"));
    };
    check_manifest("it", &parsed)?;
    assemble("it", document.digest(), &parsed, config, ARCHITECTURE)
}

/// Returns an `index.json` with the tag `name` for `digest` added, or nothing if the tag exists already.
///
/// # Errors
/// If the bytes are not an index.
pub fn add_tag(index: &[u8], name: &str, digest: &Digest) -> Result<Option<Vec<u8>>, ImageError> {
    let entry = Entry { media_type: "m".to_owned(), digest: digest.clone(), size: 7 };
    let tag = Tag { name: name.to_owned(), mutability: TagMutability::Immutable };
    Ok(match index::with_tag(index, "it", &tag, &entry)? {
        IndexChange::Write(bytes) => Some(bytes),
        IndexChange::Unchanged | IndexChange::Occupied => None,
    })
}

/// Returns the token server's address in a `WWW-Authenticate` header; `Some(None)` if it asks for a password.
#[must_use]
pub fn token_realm(header: &[u8]) -> Option<Option<String>> {
    let header = HeaderValue::from_bytes(header).ok()?;
    match Challenge::from_headers(&HeaderMap::from_iter([(WWW_AUTHENTICATE, header)]))? {
        Challenge::Basic => Some(None),
        Challenge::Bearer { realm, .. } => Some(Some(realm)),
    }
}

/// Returns the token in a token server's answer.
#[must_use]
pub fn parse_token(answer: &[u8]) -> Option<String> {
    serde_json::from_slice::<TokenAnswer>(answer).ok()?.token()
}

/// Returns the next page that a `Link` header names.
#[must_use]
pub fn next_page(header: &str) -> Option<String> {
    tags::next_link(header)
}

/// Returns where an upload to `registry` continues, by its `Location`.
#[must_use]
pub fn upload_url(registry: &str, location: &str) -> Option<String> {
    let endpoint = Endpoint::parse(registry).ok()?;
    let from = endpoint.url("a", "blobs/uploads/").ok()?;
    location::resolve(&endpoint, &from, location).ok().map(Into::into)
}

/// Returns the number of bytes that an upload's `Range` says the registry has.
#[must_use]
pub fn uploaded_bytes(range: &str) -> Option<u64> {
    location::received_bytes(range)
}

/// Returns user and password for `registry` in a Docker configuration.
///
/// # Errors
/// If the text is not valid, with the reason.
pub fn credentials(text: &str, registry: &str) -> Result<Option<(String, String)>, String> {
    Ok(docker_config::find(text, registry)?.map(|basic| (basic.user, basic.password)))
}

/// Returns the host of a registry's location.
#[must_use]
pub fn registry_host(location: &str) -> Option<String> {
    Some(Endpoint::parse(location).ok()?.host().to_owned())
}

/// Returns the registry that gets ECR's token for `host` if ECR's answer names `named`.
#[must_use]
pub fn ecr_token_host(host: &str, named: &str) -> Option<String> {
    Some(Location::parse(host, None).ok()?.registry(Some(named)).ok()?.host().to_owned())
}

/// Whether `name` is a repository name.
#[must_use]
pub fn is_repository(name: &str) -> bool {
    repository::check(name).is_ok()
}

/// Whether `name` is a tag.
#[must_use]
pub fn is_tag(name: &str) -> bool {
    tag::is_valid(name)
}

/// Returns the tags of a release of a git reference.
#[must_use]
pub fn release_tags(tags: ReleaseTags, reference: &str) -> Vec<String> {
    tags.git_reference(reference).in_order().into_iter().map(|tag| tag.name).collect()
}

fn document_from(media_type: Option<&str>, bytes: &[u8]) -> Document {
    Document { media_type: media_type.map(str::to_owned), bytes: bytes.to_vec().into() }
}
