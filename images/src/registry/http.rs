//! Requests to one registry: authorised, bounded in size and time, redirected only where that is safe.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, TryStreamExt};
use reqwest::header::HeaderMap;
use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url};
use tokio::sync::Mutex;

use super::auth::{Authorization, Challenge, Credentials, TokenAnswer};
use super::endpoint::Endpoint;
use crate::docker_config::Basic;
use crate::error::Error;
use crate::options::Options;
use crate::source::ByteStream;

const MAX_REDIRECTS: usize = 5;
const MAX_TOKEN_ANSWER: u64 = 1 << 20;
/// More repositories than a yard has tracks; forgetting them all costs one request each.
const MAX_SESSIONS: usize = 1024;

pub(crate) struct Http {
    client: Client,
    endpoint: Endpoint,
    credentials: Arc<dyn Credentials>,
    /// What the registry took last, by repository: bearer tokens are good for one only.
    sessions: Mutex<HashMap<String, Authorization>>,
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
        let mut builder = Client::builder()
            .user_agent(concat!("trackyard/", env!("CARGO_PKG_VERSION")))
            .redirect(redirects)
            .referer(false)
            .connect_timeout(options.connect)
            .read_timeout(options.stall);
        if endpoint.is_loopback() {
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(|e| Error::configuration("HTTP client", words(e)))?;
        Ok(Self { client, endpoint, credentials, sessions: Mutex::default() })
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
        let session = self.sessions.lock().await.get(repository).cloned();
        let response = self.execute(authorised(request(), session.as_ref())).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        let answer = self.answer(repository, response.headers(), session.as_ref()).await?;
        let response = self.execute(authorised(request(), Some(&answer))).await?;
        let mut sessions = self.sessions.lock().await;
        if response.status() == StatusCode::UNAUTHORIZED {
            sessions.remove(repository);
            return Err(self.refused("it does not take the credentials given"));
        }
        if sessions.len() >= MAX_SESSIONS {
            sessions.clear();
        }
        sessions.insert(repository.to_owned(), answer);
        Ok(response)
    }

    /// What a 401 asks for.
    async fn answer(
        &self,
        repository: &str,
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
                self.token(repository, &realm, service.as_deref(), basic.as_ref()).await
            }
        }
    }

    async fn token(
        &self,
        repository: &str,
        realm: &str,
        service: Option<&str>,
        basic: Option<&Basic>,
    ) -> Result<Authorization, Error> {
        let url = Url::parse(realm).ok().filter(|url| self.endpoint.may_lead_to(url));
        let url = url.ok_or_else(|| self.refused("its token server is not at an address that is allowed"))?;
        let mut request = self.client.get(url).query(&[("scope", format!("repository:{repository}:pull"))]);
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

    async fn execute(&self, request: RequestBuilder) -> Result<Response, Error> {
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

    fn place(&self) -> String {
        format!("registry {}", self.endpoint.host())
    }

    fn refused(&self, detail: &str) -> Error {
        Error::Unauthorized { place: self.place(), detail: detail.to_owned() }
    }
}

fn authorised(request: RequestBuilder, session: Option<&Authorization>) -> RequestBuilder {
    match session {
        Some(authorization) => authorization.apply(request),
        None => request,
    }
}

/// The error's causes without its URL, whose query may hold a signature.
fn words(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
