//! Requests of a release to one repository of one registry.

use std::time::Duration;

use reqwest::{RequestBuilder, Response, Url};
use trackyard_protocol::version::Digest;

use super::error_response;
use crate::error::ImageError;
use crate::options::ImageOptions;
use crate::release::ReleaseError;
use crate::source::registry::http::{Access, HttpClient, Scope};

#[derive(Clone, Copy)]
pub(super) struct RepositoryClient<'a> {
    pub(super) http: &'a HttpClient,
    pub(super) options: &'a ImageOptions,
    pub(super) repository: &'a str,
}

impl RepositoryClient<'_> {
    pub(super) fn url(&self, path: &str) -> Result<Url, ImageError> {
        self.http.endpoint().url(self.repository, path)
    }

    const fn scope(&self) -> Scope<'_> {
        Scope { repository: self.repository, access: Access::Push }
    }

    /// Sends a small request and returns the response if it arrives within `timeout`.
    pub(super) async fn request(
        &self,
        what: &str,
        timeout: Duration,
        url: &Url,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<Response, ReleaseError> {
        let answer = async {
            if self.http.endpoint().is_same_origin(url) {
                self.http.send_authorized(self.scope(), request).await
            } else {
                self.http.execute(request()).await
            }
        };
        let answer = tokio::time::timeout(timeout, answer).await;
        Ok(answer.map_err(|_| ReleaseError::Stalled { what: what.to_owned(), after: timeout })??)
    }

    /// Adds the credentials that the registry accepted last, if the request goes to the registry itself.
    pub(super) async fn with_credentials(&self, url: &Url, request: RequestBuilder) -> RequestBuilder {
        let is_own = self.http.endpoint().is_same_origin(url);
        match self.http.session(self.scope()).await.filter(|_| is_own) {
            Some(session) => session.apply(request),
            None => request,
        }
    }

    pub(super) fn location(&self) -> String {
        self.http.location()
    }

    pub(super) async fn check_status(
        &self,
        response: Response,
        what: &str,
    ) -> Result<Response, ReleaseError> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let code = self.error_code(response).await;
        Err(error_response::from_status(self.location(), what.to_owned(), status, code))
    }

    pub(super) async fn error_code(&self, response: Response) -> Option<&'static str> {
        error_response::read_code(self.http, response, self.options.stall_timeout).await
    }

    /// Checks the digest that the registry says it stored, if it says one.
    pub(super) fn check_digest(
        &self,
        what: &str,
        expected: &Digest,
        stored: Option<&str>,
    ) -> Result<(), ReleaseError> {
        match stored.map(str::parse::<Digest>) {
            None => Ok(()),
            Some(Ok(digest)) if digest == *expected => Ok(()),
            Some(found) => Err(ReleaseError::DigestMismatch {
                what: format!("{what}, as {} stored it,", self.location()),
                expected: expected.to_string(),
                found: found.map_or_else(|_| "another kind of digest".to_owned(), |d| d.to_string()),
            }),
        }
    }

    pub(super) fn dropped(&self, what: &str, detail: &str) -> ReleaseError {
        ReleaseError::Dropped { location: self.location(), what: what.to_owned(), detail: detail.to_owned() }
    }
}
