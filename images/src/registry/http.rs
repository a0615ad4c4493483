//! Requests to one registry: authorised, bounded in size and time, redirected only where that is safe.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, TryStreamExt};
use reqwest::header::HeaderMap;
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Method, RequestBuilder, Response, StatusCode, Url};
use tokio::sync::Mutex;

use super::auth::{Authorization, Challenge, Credentials, TokenAnswer};
use super::endpoint::Endpoint;
use super::tls;
use crate::docker_config::Basic;
use crate::error::Error;
use crate::options::Options;
use crate::source::ByteStream;

const MAX_REDIRECTS: usize = 5;
const MAX_TOKEN_ANSWER: u64 = 1 << 20;
/// More repositories than a yard has tracks; forgetting them all costs one request each.
const MAX_SESSIONS: usize = 1024;

/// What a request wants to do, and where: bearer tokens are good for that only.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub(crate) repository: &'a str,
    pub(crate) access: Access,
}

/// What a request wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Access {
    Pull,
    Push,
}

pub(crate) struct Http {
    client: Client,
    /// Follows no redirect, and watches no progress: its caller does.
    sender: Client,
    endpoint: Endpoint,
    credentials: Arc<dyn Credentials>,
    /// What the registry took last.
    sessions: Mutex<HashMap<(String, Access), Authorization>>,
}

impl Http {
    pub(crate) fn new(
        endpoint: Endpoint,
        credentials: Arc<dyn Credentials>,
        options: &Options,
    ) -> Result<Self, Error> {
        let target = endpoint.clone();
        // On the way to another host, port or scheme the client drops the Authorization header.
        let redirects = Policy::custom(move |attempt| {
            if attempt.previous().len() > MAX_REDIRECTS {
                attempt.error("too many redirects")
            } else if target.may_lead_to(attempt.url()) {
                attempt.follow()
            } else {
                attempt.error("a redirect to a place that is not allowed")
            }
        });
        let build = |builder: ClientBuilder| {
            builder.build().map_err(|e| Error::configuration("HTTP client", words(e)))
        };
        let common = || tls::client(&endpoint, options);
        let client = build(common()?.redirect(redirects).read_timeout(options.stall))?;
        let sender = build(common()?.redirect(Policy::none()))?;
        Ok(Self { client, sender, endpoint, credentials, sessions: Mutex::default() })
    }

    /// Sends a request for `path` of `repository`, and once more with fresh credentials if it is refused.
    pub(crate) async fn send(
        &self,
        repository: &str,
        method: Method,
        path: &str,
        headers: HeaderMap,
    ) -> Result<Response, Error> {
        let url = self.endpoint.url(repository, path)?;
        self.send_to(repository, method, url, headers).await
    }

    /// As [`Self::send`], to a URL of this registry.
    pub(crate) async fn send_to(
        &self,
        repository: &str,
        method: Method,
        url: Url,
        headers: HeaderMap,
    ) -> Result<Response, Error> {
        let request = || self.client.request(method.clone(), url.clone()).headers(headers.clone());
        self.authorised(Scope { repository, access: Access::Pull }, request).await
    }

    /// Sends what `request` makes, and once more with fresh credentials if it is refused.
    pub(crate) async fn authorised(
        &self,
        scope: Scope<'_>,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<Response, Error> {
        let key = (scope.repository.to_owned(), scope.access);
        let session = self.sessions.lock().await.get(&key).cloned();
        let response = self.execute(authorised(request(), session.as_ref())).await?;
        let Some(answer) = self.renewed(scope, &response, session.as_ref()).await? else {
            return Ok(response);
        };
        let response = self.execute(authorised(request(), Some(&answer))).await?;
        let mut sessions = self.sessions.lock().await;
        if response.status() == StatusCode::UNAUTHORIZED {
            sessions.remove(&key);
            return Err(self.refused("it does not take the credentials given"));
        }
        if sessions.len() >= MAX_SESSIONS {
            sessions.clear();
        }
        sessions.insert(key, answer);
        Ok(response)
    }

    /// The credentials that the registry took last.
    pub(crate) async fn session(&self, scope: Scope<'_>) -> Option<Authorization> {
        self.sessions.lock().await.get(&(scope.repository.to_owned(), scope.access)).cloned()
    }

    /// Whether an answer may mean that the credentials expired.
    pub(crate) fn is_expiry(&self, status: StatusCode) -> bool {
        status == StatusCode::UNAUTHORIZED || (status == StatusCode::FORBIDDEN && self.credentials.expire())
    }

    /// Fresh credentials, if the answer asks for any.
    async fn renewed(
        &self,
        scope: Scope<'_>,
        response: &Response,
        session: Option<&Authorization>,
    ) -> Result<Option<Authorization>, Error> {
        match (response.status(), session) {
            (StatusCode::UNAUTHORIZED, session) => {
                self.answer(scope, response.headers(), session).await.map(Some)
            }
            // ECR says so of a token that it once took.
            (StatusCode::FORBIDDEN, Some(Authorization::Basic(refused))) if self.credentials.expire() => {
                Ok(self.credentials.basic(Some(refused)).await?.map(Authorization::Basic))
            }
            _ => Ok(None),
        }
    }

    /// What a 401 asks for.
    async fn answer(
        &self,
        scope: Scope<'_>,
        headers: &HeaderMap,
        session: Option<&Authorization>,
    ) -> Result<Authorization, Error> {
        let challenge = Challenge::from_headers(headers)
            .ok_or_else(|| self.refused("it asks for a kind of authentication that is not known here"))?;
        let refused = match session {
            Some(Authorization::Basic(basic)) => Some(basic),
            _ => None,
        };
        let basic = self.credentials.basic(refused).await?;
        match (challenge, basic) {
            (Challenge::Basic, Some(basic)) => Ok(Authorization::Basic(basic)),
            (Challenge::Basic, None) => {
                Err(self
                    .refused("it asks for a user name and a password: give a Docker configuration with them"))
            }
            (Challenge::Bearer { realm, service }, basic) => {
                self.token(scope, &realm, service.as_deref(), basic.as_ref()).await
            }
        }
    }

    async fn token(
        &self,
        scope: Scope<'_>,
        realm: &str,
        service: Option<&str>,
        basic: Option<&Basic>,
    ) -> Result<Authorization, Error> {
        let url = Url::parse(realm).ok().filter(|url| self.endpoint.may_lead_to(url));
        let url = url.ok_or_else(|| self.refused("its token server is not at an address that is allowed"))?;
        let mut request = self.client.get(url).query(&[("scope", scope.to_string())]);
        if let Some(service) = service {
            request = request.query(&[("service", service)]);
        }
        if let Some(basic) = basic {
            request = request.basic_auth(&basic.user, Some(&basic.password));
        }
        let response = self.success(self.execute(request).await?, "a token")?;
        let bytes = self.bounded(response, "the token server's answer", MAX_TOKEN_ANSWER).await?;
        let answer: Option<TokenAnswer> = serde_json::from_slice(&bytes).ok();
        let token = answer.and_then(TokenAnswer::token);
        token.map(Authorization::Bearer).ok_or_else(|| self.refused("its token server gives no token"))
    }

    pub(crate) async fn execute(&self, request: RequestBuilder) -> Result<Response, Error> {
        request.send().await.map_err(|error| {
            if error.is_redirect() {
                return Error::malformed(self.place(), "a redirect to a place that is not allowed");
            }
            Error::Unreachable { place: self.place(), detail: words(error) }
        })
    }

    /// The response, if it is a good one.
    pub(crate) fn success(&self, response: Response, what: &str) -> Result<Response, Error> {
        let place = self.place();
        match response.status() {
            status if status.is_success() => Ok(response),
            StatusCode::NOT_FOUND => Err(Error::NotFound { what: what.to_owned(), place }),
            StatusCode::UNAUTHORIZED => Err(self.refused("the credentials are missing or wrong")),
            StatusCode::FORBIDDEN => Err(self.refused("the credentials do not suffice")),
            StatusCode::TOO_MANY_REQUESTS => Err(Error::Throttled { place }),
            status if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT => {
                Err(Error::Unreachable { place, detail: format!("HTTP status {}", status.as_u16()) })
            }
            status => Err(Error::Unexpected { place, status: status.as_u16() }),
        }
    }

    /// The whole body, if it is no larger than `limit`.
    pub(crate) async fn bounded(&self, response: Response, what: &str, limit: u64) -> Result<Bytes, Error> {
        let too_large = || Error::TooLarge { what: what.to_owned(), limit };
        if response.content_length().is_some_and(|length| length > limit) {
            return Err(too_large());
        }
        let mut stream = self.stream(response);
        let mut all = BytesMut::new();
        while let Some(bytes) = stream.try_next().await? {
            all.extend_from_slice(&bytes);
            if u64::try_from(all.len()).unwrap_or(u64::MAX) > limit {
                return Err(too_large());
            }
        }
        Ok(all.freeze())
    }

    pub(crate) fn stream(&self, response: Response) -> ByteStream {
        let place = self.place();
        response
            .bytes_stream()
            .map_err(move |error| Error::Unreachable { place: place.clone(), detail: words(error) })
            .boxed()
    }

    pub(crate) const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(crate) const fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) const fn sender(&self) -> &Client {
        &self.sender
    }

    pub(crate) fn place(&self) -> String {
        format!("registry {}", self.endpoint.host())
    }

    fn refused(&self, detail: &str) -> Error {
        Error::Unauthorized { place: self.place(), detail: detail.to_owned() }
    }
}

impl fmt::Display for Scope<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let actions = match self.access {
            Access::Pull => "pull",
            Access::Push => "pull,push",
        };
        write!(f, "repository:{}:{actions}", self.repository)
    }
}

fn authorised(request: RequestBuilder, session: Option<&Authorization>) -> RequestBuilder {
    match session {
        Some(authorization) => authorization.apply(request),
        None => request,
    }
}

/// The error's causes without its URL, whose query may hold a signature.
pub(crate) fn words(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_asked_for_what_is_to_be_done() {
        let scope = |access| Scope { repository: "a/b", access }.to_string();
        assert_eq!(scope(Access::Pull), "repository:a/b:pull");
        assert_eq!(scope(Access::Push), "repository:a/b:pull,push");
    }
}
