//! Requests of a release to one repository of one registry.

use std::time::Duration;

use reqwest::{RequestBuilder, Response, Url};
use trackyard_protocol::version::Digest;

use super::answer;
use crate::error::Error;
use crate::options::Options;
use crate::registry::http::{Access, Http, Scope};
use crate::release::ReleaseError;

#[derive(Clone, Copy)]
pub(super) struct Wire<'a> {
    pub(super) http: &'a Http,
    pub(super) options: &'a Options,
    pub(super) repository: &'a str,
}

impl Wire<'_> {
    pub(super) fn url(&self, path: &str) -> Result<Url, Error> {
        self.http.endpoint().url(self.repository, path)
    }

    const fn scope(&self) -> Scope<'_> {
        Scope { repository: self.repository, access: Access::Push }
    }

    /// The answer to a small request, within `limit`.
    pub(super) async fn ask(
        &self,
        what: &str,
        limit: Duration,
        url: &Url,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<Response, ReleaseError> {
        let answer = async {
            if self.http.endpoint().is_same_origin(url) {
                self.http.authorised(self.scope(), request).await
            } else {
                self.http.execute(request()).await
            }
        };
        let stalled = |_| ReleaseError::Stalled { what: what.to_owned(), after: limit };
        Ok(tokio::time::timeout(limit, answer).await.map_err(stalled)??)
    }

    /// The request with the credentials that the registry took last, if it goes to the registry itself.
    pub(super) async fn signed(&self, url: &Url, request: RequestBuilder) -> RequestBuilder {
        let is_own = self.http.endpoint().is_same_origin(url);
        match self.http.session(self.scope()).await.filter(|_| is_own) {
            Some(session) => session.apply(request),
            None => request,
        }
    }

    pub(super) fn place(&self) -> String {
        self.http.place()
    }

    pub(super) async fn success(&self, response: Response, what: &str) -> Result<Response, ReleaseError> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let code = self.code(response).await;
        Err(answer::failure(self.place(), what.to_owned(), status, code))
    }

    pub(super) async fn code(&self, response: Response) -> Option<&'static str> {
        answer::code(self.http, response, self.options.stall).await
    }

    /// What the registry says that it stored, if it says anything, must be what was sent.
    pub(super) fn same_digest(
        &self,
        what: &str,
        expected: &Digest,
        said: Option<&str>,
    ) -> Result<(), ReleaseError> {
        match said.map(str::parse::<Digest>) {
            None => Ok(()),
            Some(Ok(digest)) if digest == *expected => Ok(()),
            Some(found) => Err(ReleaseError::DigestMismatch {
                what: format!("{what}, as {} stored it,", self.place()),
                expected: expected.to_string(),
                found: found.map_or_else(|_| "another kind of digest".to_owned(), |d| d.to_string()),
            }),
        }
    }

    pub(super) fn dropped(&self, what: &str, detail: &str) -> ReleaseError {
        ReleaseError::Dropped { place: self.place(), what: what.to_owned(), detail: detail.to_owned() }
    }
}
