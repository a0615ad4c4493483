//! Requests to one registry: authorized, limited in size and time, redirected only where that is safe.

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
use crate::error::ImageError;
use crate::options::ImageOptions;
use crate::source::ByteStream;
use sessions::Sessions;
pub(crate) use sessions::{Access, Scope};

const MAX_REDIRECTS: usize = 5;
/// Timeout of reading a whole document, which has a few megabytes at most.
const DOCUMENT_TIMEOUT: Duration = Duration::from_secs(60);

pub(crate) struct HttpClient {
    client: Client,
    /// Follows no redirects and has no read timeout; callers handle both.
    upload_client: Client,
    endpoint: Endpoint,
    credentials: Arc<dyn Credentials>,
    sessions: Sessions,
}

impl HttpClient {
    pub(crate) fn new(
        endpoint: Endpoint,
        credentials: Arc<dyn Credentials>,
        options: &ImageOptions,
    ) -> Result<Self, ImageError> {
        let origin = endpoint.clone();
        // The client drops the Authorization header when a redirect changes host, port or scheme.
        let redirects = Policy::custom(move |attempt| {
            if attempt.previous().len() > MAX_REDIRECTS {
                attempt.error("too many redirects")
            } else if origin.may_redirect_to(attempt.url()) {
                attempt.follow()
            } else {
                attempt.error("a redirect to an address that is not allowed")
            }
        });
        let build = |builder: ClientBuilder| {
            builder.build().map_err(|e| ImageError::configuration("HTTP client", describe_without_url(e)))
        };
        let common = || tls::client_builder(&endpoint, options);
        let client = build(common()?.redirect(redirects).read_timeout(options.stall_timeout))?;
        let upload_client = build(common()?.redirect(Policy::none()))?;
        Ok(Self { client, upload_client, endpoint, credentials, sessions: Sessions::default() })
    }

    /// Sends a request for `path` of `repository`, and repeats it with fresh credentials if it is refused.
    pub(crate) async fn send(
        &self,
        repository: &str,
        method: Method,
        path: &str,
        headers: HeaderMap,
    ) -> Result<Response, ImageError> {
        let url = self.endpoint.url(repository, path)?;
        self.send_to(repository, method, url, headers).await
    }

    /// Like [`Self::send`], for a URL of this registry.
    pub(crate) async fn send_to(
        &self,
        repository: &str,
        method: Method,
        url: Url,
        headers: HeaderMap,
    ) -> Result<Response, ImageError> {
        let request = || self.client.request(method.clone(), url.clone()).headers(headers.clone());
        self.send_authorized(Scope { repository, access: Access::Pull }, request).await
    }

    pub(crate) async fn execute(&self, request: RequestBuilder) -> Result<Response, ImageError> {
        request.send().await.map_err(|error| {
            if error.is_redirect() {
                return ImageError::malformed(
                    self.location(),
                    "a redirect to an address that is not allowed",
                );
            }
            ImageError::Unreachable { location: self.location(), detail: describe_without_url(error) }
        })
    }

    /// Returns the response if its status is a success.
    pub(crate) fn check_status(&self, response: Response, what: &str) -> Result<Response, ImageError> {
        let location = self.location();
        match response.status() {
            status if status.is_success() => Ok(response),
            StatusCode::NOT_FOUND => Err(ImageError::NotFound { what: what.to_owned(), location }),
            StatusCode::UNAUTHORIZED => Err(self.refused("the credentials are missing or wrong")),
            StatusCode::FORBIDDEN => Err(self.refused("the credentials do not suffice")),
            StatusCode::TOO_MANY_REQUESTS => Err(ImageError::Throttled { location }),
            status if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT => {
                Err(ImageError::Unreachable { location, detail: format!("HTTP status {}", status.as_u16()) })
            }
            status => Err(ImageError::Unexpected { location, status: status.as_u16() }),
        }
    }

    /// Reads the whole body, at most `limit` bytes, within a timeout.
    pub(crate) async fn read_bounded(
        &self,
        response: Response,
        what: &str,
        limit: u64,
    ) -> Result<Bytes, ImageError> {
        let body = timeout(DOCUMENT_TIMEOUT, self.read_body(response, what, limit)).await;
        body.unwrap_or_else(|_| Err(ImageError::Stalled { what: what.to_owned(), after: DOCUMENT_TIMEOUT }))
    }

    async fn read_body(&self, response: Response, what: &str, limit: u64) -> Result<Bytes, ImageError> {
        let too_large = || ImageError::TooLarge { what: what.to_owned(), limit };
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
        let location = self.location();
        response
            .bytes_stream()
            .map_err(move |error| ImageError::Unreachable {
                location: location.clone(),
                detail: describe_without_url(error),
            })
            .boxed()
    }

    pub(crate) const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(crate) const fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) const fn upload_client(&self) -> &Client {
        &self.upload_client
    }

    pub(crate) fn location(&self) -> String {
        format!("registry {}", self.endpoint.host())
    }

    fn refused(&self, detail: &str) -> ImageError {
        ImageError::Unauthorized { location: self.location(), detail: detail.to_owned() }
    }
}

/// Returns the error's causes without its URL, whose query may contain a signature.
pub(crate) fn describe_without_url(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
