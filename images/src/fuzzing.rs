//! Doors for the fuzz targets in `fuzz/`; no part of what a caller uses. Each is a decoder of what a registry, a layout
//! directory or a builder writes, with its crate-private types left out.

use reqwest::header::{HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use trackyard_protocol::version::Digest;

use crate::docker_config;
use crate::document::{Document, Parsed};
use crate::ecr::location::Location;
use crate::error::Error;
use crate::image::{Image, assemble, check_manifest};
use crate::layout::index::{self, Change, Entry};
use crate::registry::auth::{Challenge, TokenAnswer};
use crate::registry::endpoint::Endpoint;
use crate::registry::push::location;
use crate::registry::tags;
use crate::release::{Lasts, ReleaseTags, Tag};
use crate::{repository, tag};

const ARCHITECTURE: &str = "amd64";

/// What a document is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A manifest with so many layers, that passes the checks or does not.
    Manifest(usize, Result<(), Error>),
    /// An index, with the digest that it names for a platform.
    Index(Result<Digest, Error>),
}

/// Reads a manifest or an index.
///
/// # Errors
/// If it is neither.
pub fn document(media_type: Option<&str>, bytes: &[u8]) -> Result<Kind, Error> {
    Ok(match of(media_type, bytes).parse("it")? {
        Parsed::Manifest(manifest) => Kind::Manifest(manifest.layers.len(), check_manifest("it", &manifest)),
        Parsed::Index(index) => {
            Kind::Index(index.choose("it", ARCHITECTURE).map(|entry| entry.digest.clone()))
        }
    })
}

/// Reads an image of a manifest and a configuration.
///
/// # Errors
/// If they are none.
pub fn image(manifest: &[u8], config: &[u8]) -> Result<Image, Error> {
    let document = of(None, manifest);
    let Parsed::Manifest(parsed) = document.parse("it")? else {
        return Err(Error::malformed("it", "it is an index"));
    };
    check_manifest("it", &parsed)?;
    assemble("it", document.digest(), &parsed, config, ARCHITECTURE)
}

/// The bytes of an `index.json` with `name` for `digest` in it; none if it is there already, or for another image.
///
/// # Errors
/// If the bytes are no index.
pub fn tagged(index: &[u8], name: &str, digest: &Digest) -> Result<Option<Vec<u8>>, Error> {
    let entry = Entry { media_type: "m".to_owned(), digest: digest.clone(), size: 7 };
    let tag = Tag { name: name.to_owned(), lasts: Lasts::ForEver };
    Ok(match index::with(index, "it", &tag, &entry)? {
        Change::Write(bytes) => Some(bytes),
        Change::None | Change::Taken => None,
    })
}

/// The realm that a `WWW-Authenticate` header sends to for a token; `Some(None)` if it asks for a password.
#[must_use]
pub fn challenge(header: &[u8]) -> Option<Option<String>> {
    let header = HeaderValue::from_bytes(header).ok()?;
    match Challenge::from_headers(&HeaderMap::from_iter([(WWW_AUTHENTICATE, header)]))? {
        Challenge::Basic => Some(None),
        Challenge::Bearer { realm, .. } => Some(Some(realm)),
    }
}

/// The token in a token server's answer.
#[must_use]
pub fn token(answer: &[u8]) -> Option<String> {
    serde_json::from_slice::<TokenAnswer>(answer).ok()?.token()
}

/// The next page that a `Link` header names.
#[must_use]
pub fn next_page(header: &str) -> Option<String> {
    tags::next_of(header)
}

/// Where an upload to `registry` goes on by its `Location`.
#[must_use]
pub fn upload(registry: &str, location: &str) -> Option<String> {
    let endpoint = Endpoint::parse(registry).ok()?;
    let from = endpoint.url("a", "blobs/uploads/").ok()?;
    location::follow(&endpoint, &from, location).ok().map(Into::into)
}

/// How many bytes an upload's `Range` says are there.
#[must_use]
pub fn uploaded(range: &str) -> Option<u64> {
    location::offset(range)
}

/// User and password for `registry` in a Docker configuration.
///
/// # Errors
/// With what is wrong with the text.
pub fn credentials(text: &str, registry: &str) -> Result<Option<(String, String)>, String> {
    Ok(docker_config::find(text, registry)?.map(|basic| (basic.user, basic.password)))
}

/// The host that a registry's location names.
#[must_use]
pub fn host(location: &str) -> Option<String> {
    Some(Endpoint::parse(location).ok()?.host().to_owned())
}

/// The registry that gets ECR's token for `host`, when ECR's answer names another one.
#[must_use]
pub fn ecr(host: &str, named: &str) -> Option<String> {
    Some(Location::parse(host, None).ok()?.registry(Some(named)).ok()?.host().to_owned())
}

/// True for a repository's name.
#[must_use]
pub fn is_repository(name: &str) -> bool {
    repository::check(name).is_ok()
}

/// True for a tag.
#[must_use]
pub fn is_tag(name: &str) -> bool {
    tag::is_valid(name)
}

/// The tags of a release, for people's name of it.
#[must_use]
pub fn release_tags(tags: ReleaseTags, reference: &str) -> Vec<String> {
    tags.git_reference(reference).in_order().into_iter().map(|tag| tag.name).collect()
}

fn of(media_type: Option<&str>, bytes: &[u8]) -> Document {
    Document { media_type: media_type.map(str::to_owned), bytes: bytes.to_vec().into() }
}
