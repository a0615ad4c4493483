//! Any OCI registry, over HTTP. Built on an HTTP client and not on a registry client crate, because those read answers
//! of any size into memory, follow any redirect, and keep the first credentials forever.

pub(crate) mod auth;
pub(crate) mod endpoint;
pub(crate) mod http;
pub(crate) mod tags;
mod tls;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use backon::Retryable;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, future, stream};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue, RANGE};
use reqwest::{Method, Response, StatusCode};
use trackyard_protocol::version::Digest;

use crate::document::{DOCKER_INDEX, DOCKER_MANIFEST, Document, MAX_DOCUMENT_BYTES, OCI_INDEX, OCI_MANIFEST};
use crate::error::ImageError;
use crate::options::ImageOptions;
use crate::source::{ByteStream, Source};
use auth::{Credentials, DockerConfig};
use endpoint::Endpoint;
use http::HttpClient;

/// Maximum number of concurrent requests for the digests of tags.
const MAX_CONCURRENT_TAGS: usize = 8;

/// One registry.
pub(crate) struct Registry {
    pub(crate) http: HttpClient,
    pub(crate) options: ImageOptions,
}

impl Registry {
    /// Makes a client for `host[:port]`, with credentials from the Docker configuration, if one is set.
    pub(crate) fn connect(location: &str, options: &ImageOptions) -> Result<Self, ImageError> {
        let endpoint = Endpoint::parse(location)?;
        let credentials = DockerConfig::new(options.docker_config.clone(), endpoint.host().to_owned());
        Self::with_credentials(endpoint, Arc::new(credentials), options)
    }

    /// Makes a client for `endpoint`, with other credentials.
    pub(crate) fn with_credentials(
        endpoint: Endpoint,
        credentials: Arc<dyn Credentials>,
        options: &ImageOptions,
    ) -> Result<Self, ImageError> {
        Ok(Self { http: HttpClient::new(endpoint, credentials, options)?, options: options.clone() })
    }

    async fn manifest(&self, repository: &str, reference: &str) -> Result<Document, ImageError> {
        let get = || async {
            let path = format!("manifests/{reference}");
            let response = self.http.send(repository, Method::GET, &path, accept_documents()).await?;
            let what = format!("{repository} {reference}");
            let response = self.http.check_status(response, &what)?;
            let media_type = header(&response, CONTENT_TYPE.as_str()).map(essence);
            Ok(Document {
                media_type,
                bytes: self.http.read_bounded(response, &what, MAX_DOCUMENT_BYTES).await?,
            })
        };
        get.retry(self.options.backoff()).when(ImageError::is_transient).await
    }

    /// Returns the digest of a tag. Its document is fetched only if the registry does not send the digest in a header.
    pub(crate) async fn digest_of(&self, repository: &str, tag: &str) -> Result<Digest, ImageError> {
        let head = || async {
            let path = format!("manifests/{tag}");
            let response = self.http.send(repository, Method::HEAD, &path, accept_documents()).await?;
            let response = self.http.check_status(response, &format!("{repository}:{tag}"))?;
            Ok(header(&response, "docker-content-digest").and_then(|digest| digest.parse().ok()))
        };
        match head.retry(self.options.backoff()).when(ImageError::is_transient).await? {
            Some(digest) => Ok(digest),
            None => Ok(self.manifest(repository, tag).await?.digest()),
        }
    }
}

#[async_trait]
impl Source for Registry {
    async fn tagged_document(&self, repository: &str, tag: &str) -> Result<Document, ImageError> {
        self.manifest(repository, tag).await
    }

    async fn list(&self, repository: &str) -> Result<BTreeMap<Digest, Vec<String>>, ImageError> {
        let tags = tags::list(&self.http, repository, &self.options).await?;
        let digests = stream::iter(tags).map(|tag| async move {
            match self.digest_of(repository, &tag).await {
                Ok(digest) => Ok(Some((digest, tag))),
                // The tag was deleted after it was listed.
                Err(ImageError::NotFound { .. }) => Ok(None),
                Err(error) => Err(error),
            }
        });
        digests
            .buffer_unordered(MAX_CONCURRENT_TAGS)
            .try_filter_map(future::ok)
            .try_fold(BTreeMap::<Digest, Vec<String>>::new(), |mut all, (digest, tag)| {
                all.entry(digest).or_default().push(tag);
                future::ok(all)
            })
            .await
    }

    async fn document(&self, repository: &str, digest: &Digest) -> Result<Document, ImageError> {
        self.manifest(repository, digest.as_str()).await
    }

    async fn blob(&self, repository: &str, digest: &Digest, offset: u64) -> Result<ByteStream, ImageError> {
        let what = format!("blob {digest} of {repository}");
        let mut headers = HeaderMap::new();
        if offset > 0 {
            let range = HeaderValue::from_str(&format!("bytes={offset}-"));
            headers.insert(RANGE, range.map_err(|e| ImageError::malformed(&what, e))?);
        }
        let response = self.http.send(repository, Method::GET, &format!("blobs/{digest}"), headers).await?;
        if response.status() == StatusCode::RANGE_NOT_SATISFIABLE {
            return Ok(stream::empty().boxed());
        }
        let response = self.http.check_status(response, &what)?;
        let skip = bytes_to_skip(&response, offset).ok_or_else(|| ImageError::Malformed {
            what: what.clone(),
            detail: "the registry sent another range than was requested".to_owned(),
        })?;
        Ok(skip_bytes(self.http.stream(response), skip))
    }
}

/// Returns how many bytes precede the requested ones: `offset`, if the server does not support ranges.
fn bytes_to_skip(response: &Response, offset: u64) -> Option<u64> {
    if response.status() != StatusCode::PARTIAL_CONTENT {
        return Some(offset);
    }
    let range = header(response, "content-range")?;
    let start: u64 = range.strip_prefix("bytes ")?.split_once('-')?.0.parse().ok()?;
    (start == offset).then_some(0)
}

/// Drops the first `skip` bytes of a stream.
pub(crate) fn skip_bytes(stream: ByteStream, skip: u64) -> ByteStream {
    stream
        .scan(skip, |left, item| future::ready(Some(item.map(|bytes| drop_prefix(left, bytes)))))
        .try_filter(|bytes| future::ready(!bytes.is_empty()))
        .boxed()
}

fn drop_prefix(left: &mut u64, mut bytes: Bytes) -> Bytes {
    let skipped = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
    *left = left.saturating_sub(u64::try_from(skipped).unwrap_or(u64::MAX));
    bytes.split_off(skipped)
}

fn accept_documents() -> HeaderMap {
    [OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_INDEX]
        .into_iter()
        .map(|media_type| (ACCEPT, HeaderValue::from_static(media_type)))
        .collect()
}

/// Returns the value of a response header, if it is text.
pub(crate) fn header(response: &Response, name: &str) -> Option<String> {
    response.headers().get(name)?.to_str().ok().map(str::to_owned)
}

/// Removes the parameters of a media type.
fn essence(media_type: String) -> String {
    media_type.split(';').next().map(|t| t.trim().to_owned()).unwrap_or(media_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bytes_before_the_offset_are_skipped() {
        let chunks = ["012", "", "345", "6789"].map(|c| Ok(Bytes::from_static(c.as_bytes())));
        let rest: Vec<Bytes> = skip_bytes(stream::iter(chunks).boxed(), 4).try_collect().await.unwrap();
        assert_eq!(rest.concat(), b"456789");
    }
}
