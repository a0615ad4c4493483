//! Requests to one registry: authorised, bounded in size and time, redirected only where that is safe.

mod sessions;

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, TryStreamExt};
use reqwest::header::HeaderMap;
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Method, RequestBuilder, Response, StatusCode, Url};
use tokio::time::timeout;

use super::auth::Credentials;
use super::endpoint::Endpoint;
use super::tls;
use crate::error::Error;
use crate::options::Options;
use crate::source::ByteStream;
use sessions::Sessions;
pub(crate) use sessions::{Access, Scope};

const MAX_REDIRECTS: usize = 5;
/// How long the body of a document may take, in all: it has some megabytes at most.
const DOCUMENT: Duration = Duration::from_secs(60);

pub(crate) struct Http {
    client: Client,
    /// Follows no redirect, and watches no progress: its caller does.
    sender: Client,
    endpoint: Endpoint,
    credentials: Arc<dyn Credentials>,
    sessions: Sessions,
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
        Ok(Self { client, sender, endpoint, credentials, sessions: Sessions::default() })
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

    /// The whole body, if it is no larger than `limit` and comes in time.
    pub(crate) async fn bounded(&self, response: Response, what: &str, limit: u64) -> Result<Bytes, Error> {
        let whole = timeout(DOCUMENT, self.whole(response, what, limit)).await;
        whole.unwrap_or_else(|_| Err(Error::Stalled { what: what.to_owned(), after: DOCUMENT }))
    }

    async fn whole(&self, response: Response, what: &str, limit: u64) -> Result<Bytes, Error> {
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
