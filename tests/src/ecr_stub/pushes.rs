//! What comes in: uploads as ECR takes them, handed whole to docker-registry, and manifests, as far as tags may move.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use serde_json::json;

use super::front::Shared;
use super::lock;
use crate::registry::{PASSWORD, USER};

const MAX_MANIFEST: usize = 4 << 20;

/// An answer that comes before any other.
pub(super) fn before(shared: &Shared) -> Option<Response> {
    let mut account = lock(shared.account.as_ref()?);
    account.throttle_registry = account.throttle_registry.checked_sub(1)?;
    Some(error(StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS"))
}

/// How a token is refused that was good once.
pub(super) fn expired(shared: &Shared, headers: &HeaderMap) -> Option<Response> {
    let status = lock(shared.account.as_ref()?).expire?.1;
    let status = StatusCode::from_u16(status).ok().filter(|_| headers.contains_key(header::AUTHORIZATION))?;
    (status == StatusCode::FORBIDDEN).then(|| error(status, "DENIED"))
}

/// Whether a request changes something, or asks for an upload.
pub(super) fn is_push(request: &Request) -> bool {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    !is_read || request.uri().path().contains("/blobs/uploads/")
}

pub(super) async fn serve(shared: &Shared, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let Some((repository, rest)) = split(&path) else { return StatusCode::NOT_FOUND.into_response() };
    let has = |account: &std::sync::Arc<_>| lock::<super::Account>(account).has(repository);
    if !shared.account.as_ref().is_none_or(has) {
        return error(StatusCode::NOT_FOUND, "NAME_UNKNOWN");
    }
    if let Some(tag) = rest.strip_prefix("manifests/") {
        return shared.put_manifest(repository, tag, request).await;
    }
    let number = rest.strip_prefix("blobs/uploads/").unwrap_or_default();
    match (request.method().clone(), number.parse()) {
        (Method::POST, Err(_)) => {
            shared.session(&request, &path, shared.uploads.begin(), StatusCode::ACCEPTED)
        }
        (Method::GET, Ok(number)) => shared.session(&request, &path, number, StatusCode::NO_CONTENT),
        (Method::PATCH, Ok(number)) => shared.append(request, &path, number).await,
        (Method::PUT, Ok(number)) => {
            let query = request.uri().query().unwrap_or_default().to_owned();
            shared.put_blob(repository, &query, number).await
        }
        _ => StatusCode::METHOD_NOT_ALLOWED.into_response(),
    }
}

/// The repository, and what is wanted of it.
fn split(path: &str) -> Option<(&str, &str)> {
    let path = path.strip_prefix("/v2/")?;
    let at = path.find("/blobs/").or_else(|| path.find("/manifests/"))?;
    Some((path.get(..at)?, path.get(at + 1..)?))
}

impl Shared {
    /// Where an upload is, at an absolute address, and how far.
    fn session(&self, request: &Request, path: &str, number: u64, status: StatusCode) -> Response {
        let Some(length) = self.uploads.len(number) else {
            return error(StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN");
        };
        let host =
            request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let dir = path.rsplit_once('/').map_or(path, |(dir, _)| dir);
        let location = format!("http://{host}{dir}/{number}");
        let range = format!("0-{}", length.saturating_sub(1));
        (status, [(header::LOCATION, location), (header::RANGE, range)]).into_response()
    }

    async fn append(&self, request: Request, path: &str, number: u64) -> Response {
        let (parts, body) = request.into_parts();
        let expected = parts.headers.get(header::CONTENT_RANGE).and_then(|range| range.to_str().ok());
        let start = expected.and_then(|range| range.split_once('-')?.0.parse().ok()).unwrap_or(0);
        if self.uploads.len(number).is_some_and(|length| length != start) {
            return error(StatusCode::RANGE_NOT_SATISFIABLE, "BLOB_UPLOAD_INVALID");
        }
        let mut stream = body.into_data_stream();
        while let Some(Ok(bytes)) = stream.next().await {
            if let Some(status) = self.counts(bytes.len()) {
                return error(status, "DENIED");
            }
            self.uploads.append(number, &bytes);
        }
        self.session(&Request::from_parts(parts, Body::empty()), path, number, StatusCode::ACCEPTED)
    }

    /// Counts bytes until tokens expire; then how that is told.
    fn counts(&self, bytes: usize) -> Option<StatusCode> {
        let mut account = lock(self.account.as_ref()?);
        let (left, status) = account.expire.filter(|(left, _)| *left > 0)?;
        account.expire = Some((left.saturating_sub(bytes), status));
        if bytes < left {
            return None;
        }
        account.expired = account.tokens_given;
        StatusCode::from_u16(status).ok()
    }

    async fn put_blob(&self, repository: &str, query: &str, number: u64) -> Response {
        let Some(bytes) = self.uploads.end(number) else {
            return error(StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN");
        };
        let url = format!("http://{}/v2/{repository}/blobs/uploads/", self.backend);
        let begun = self.client.post(url).basic_auth(USER, Some(PASSWORD)).send().await;
        let begun = begun.expect("docker-registry answers");
        let location = begun.headers().get(header::LOCATION).and_then(|to| to.to_str().ok());
        let to = format!("{}&{query}", location.expect("a Location"));
        let put = self.client.put(to).basic_auth(USER, Some(PASSWORD)).body(bytes).send().await;
        put.expect("docker-registry answers").status().into_response()
    }

    async fn put_manifest(&self, repository: &str, tag: &str, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        let bytes = axum::body::to_bytes(body, MAX_MANIFEST).await.expect("a manifest");
        let digest = crate::image::digest(&bytes);
        if !self.claim(repository, tag, &digest) {
            return error(StatusCode::BAD_REQUEST, "TAG_INVALID");
        }
        let url = format!("http://{}/v2/{repository}/manifests/{tag}", self.backend);
        let mut put = self.client.put(url).basic_auth(USER, Some(PASSWORD)).body(bytes);
        if let Some(media_type) = parts.headers.get(header::CONTENT_TYPE) {
            put = put.header(header::CONTENT_TYPE, media_type);
        }
        let status = put.send().await.expect("docker-registry answers").status();
        if let Some(account) = self.account.as_ref().filter(|_| !status.is_success()) {
            lock(account).tags.retain(|(r, t, _)| r != repository || t != tag);
        }
        status.into_response()
    }

    /// Makes the tag name the image, in one step, unless it names another one for ever.
    fn claim(&self, repository: &str, tag: &str, digest: &str) -> bool {
        let Some(account) = &self.account else { return true };
        let mut account = lock(account);
        let names_other = |(r, t, d): &(String, String, String)| r == repository && t == tag && d != digest;
        if account.repositories.is_fixed(repository, tag) && account.tags.iter().any(names_other) {
            return false;
        }
        account.tags.retain(|(r, t, _)| r != repository || t != tag);
        account.tags.push((repository.to_owned(), tag.to_owned(), digest.to_owned()));
        true
    }
}

fn error(status: StatusCode, code: &str) -> Response {
    (status, axum::Json(json!({"errors": [{"code": code, "message": "not shown"}]}))).into_response()
}
