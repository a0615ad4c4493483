//! Pushes: uploads by ECR's rules, which go to docker-registry as a whole, and manifests, where tags may be immutable.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use serde_json::json;

use super::front::Shared;
use super::lock;
use crate::registry::{PASSWORD, USER};

const MAX_MANIFEST_BYTES: usize = 4 << 20;

/// Returns a refusal if the request is to be throttled.
pub(super) fn throttled(shared: &Shared) -> Option<Response> {
    let mut account = lock(shared.account.as_ref()?);
    account.throttle_registry = account.throttle_registry.checked_sub(1)?;
    Some(error(StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS"))
}

/// Returns the refusal of a token that has expired.
pub(super) fn expired(shared: &Shared, headers: &HeaderMap) -> Option<Response> {
    let status = lock(shared.account.as_ref()?).expire_after?.1;
    let status = StatusCode::from_u16(status).ok().filter(|_| headers.contains_key(header::AUTHORIZATION))?;
    (status == StatusCode::FORBIDDEN).then(|| error(status, "DENIED"))
}

/// Returns true if a request changes something, or concerns an upload.
pub(super) fn is_push(request: &Request) -> bool {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    !is_read || request.uri().path().contains("/blobs/uploads/")
}

pub(super) async fn serve(shared: &Shared, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let Some((repository, rest)) = split(&path) else { return StatusCode::NOT_FOUND.into_response() };
    if shared.account.as_ref().is_some_and(|account| !lock(account).has_repository(repository)) {
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

/// Splits a path into the repository and the rest.
fn split(path: &str) -> Option<(&str, &str)> {
    let path = path.strip_prefix("/v2/")?;
    let at = path.find("/blobs/").or_else(|| path.find("/manifests/"))?;
    Some((path.get(..at)?, path.get(at + 1..)?))
}

impl Shared {
    /// Answers with the absolute location of an upload, and the range received.
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
            if let Some(status) = self.expire_tokens(bytes.len()) {
                return error(status, "DENIED");
            }
            self.uploads.append(number, &bytes);
        }
        self.session(&Request::from_parts(parts, Body::empty()), path, number, StatusCode::ACCEPTED)
    }

    /// Counts uploaded bytes. Returns the refusing status once the tokens expire.
    fn expire_tokens(&self, bytes: usize) -> Option<StatusCode> {
        let mut account = lock(self.account.as_ref()?);
        let (left, status) = account.expire_after.filter(|(left, _)| *left > 0)?;
        account.expire_after = Some((left.saturating_sub(bytes), status));
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
        let bytes = axum::body::to_bytes(body, MAX_MANIFEST_BYTES).await.expect("a manifest");
        let digest = crate::image::digest(&bytes);
        if !self.set_tag(repository, tag, &digest) {
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

    /// Points the tag to the image, atomically. Returns false if the tag is immutable and names another image.
    fn set_tag(&self, repository: &str, tag: &str, digest: &str) -> bool {
        let Some(account) = &self.account else { return true };
        let mut account = lock(account);
        let names_other = |(r, t, d): &(String, String, String)| r == repository && t == tag && d != digest;
        if account.repositories.is_immutable(repository, tag) && account.tags.iter().any(names_other) {
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
