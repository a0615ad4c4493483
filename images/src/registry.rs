//! Any OCI registry, over HTTP. Made on an HTTP client rather than on a whole registry client, because those at hand
//! read answers of any size into memory, follow any redirect, and keep the first credentials for ever.

pub(crate) mod auth;
pub(crate) mod endpoint;
mod http;
pub(crate) mod push;
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

use crate::document::{DOCKER_INDEX, DOCKER_MANIFEST, Document, MAX_DOCUMENT, OCI_INDEX, OCI_MANIFEST};
use crate::error::Error;
use crate::options::Options;
use crate::source::{ByteStream, Source};
use auth::{Credentials, DockerConfig};
use endpoint::Endpoint;
use http::Http;

/// How many tags are asked for their digest at once.
const PARALLEL_TAGS: usize = 8;

/// One registry.
pub(crate) struct Registry {
    http: Http,
    options: Options,
}

impl Registry {
    /// The registry at `host[:port]`, with credentials from the Docker configuration, if there is one.
    pub(crate) fn connect(location: &str, options: &Options) -> Result<Self, Error> {
        let endpoint = Endpoint::parse(location)?;
        let credentials = DockerConfig::new(options.docker_config.clone(), endpoint.host().to_owned());
        Self::with_credentials(endpoint, Arc::new(credentials), options)
    }

    /// The registry at `endpoint`, with credentials from elsewhere.
    pub(crate) fn with_credentials(
        endpoint: Endpoint,
        credentials: Arc<dyn Credentials>,
        options: &Options,
    ) -> Result<Self, Error> {
        Ok(Self { http: Http::new(endpoint, credentials, options)?, options: options.clone() })
    }

    async fn manifest(&self, repository: &str, reference: &str) -> Result<Document, Error> {
        let get = || async {
            let path = format!("manifests/{reference}");
            let response = self.http.send(repository, Method::GET, &path, accept_documents()).await?;
            let what = format!("{repository} {reference}");
            let response = self.http.success(response, &what)?;
            let media_type = header(&response, CONTENT_TYPE.as_str()).map(essence);
            Ok(Document { media_type, bytes: self.http.bounded(response, &what, MAX_DOCUMENT).await? })
        };
        get.retry(self.options.backoff()).when(Error::is_transient).await
    }

    /// What a tag names, without its content where the registry can say so.
    async fn digest_of(&self, repository: &str, tag: &str) -> Result<Digest, Error> {
        let head = || async {
            let path = format!("manifests/{tag}");
            let response = self.http.send(repository, Method::HEAD, &path, accept_documents()).await?;
            let response = self.http.success(response, &format!("{repository}:{tag}"))?;
            Ok(header(&response, "docker-content-digest").and_then(|digest| digest.parse().ok()))
        };
        match head.retry(self.options.backoff()).when(Error::is_transient).await? {
            Some(digest) => Ok(digest),
            None => Ok(self.manifest(repository, tag).await?.digest()),
        }
    }
}

#[async_trait]
impl Source for Registry {
    async fn tagged(&self, repository: &str, tag: &str) -> Result<Document, Error> {
        self.manifest(repository, tag).await
    }

    async fn list(&self, repository: &str) -> Result<BTreeMap<Digest, Vec<String>>, Error> {
        let tags = tags::all(&self.http, repository, &self.options).await?;
        let digests = stream::iter(tags).map(|tag| async move {
            match self.digest_of(repository, &tag).await {
                Ok(digest) => Ok(Some((digest, tag))),
                // Deleted since it was listed.
                Err(Error::NotFound { .. }) => Ok(None),
                Err(error) => Err(error),
            }
        });
        digests
            .buffer_unordered(PARALLEL_TAGS)
            .try_filter_map(future::ok)
            .try_fold(BTreeMap::<Digest, Vec<String>>::new(), |mut all, (digest, tag)| {
                all.entry(digest).or_default().push(tag);
                future::ok(all)
            })
            .await
    }

    async fn document(&self, repository: &str, digest: &Digest) -> Result<Document, Error> {
        self.manifest(repository, digest.as_str()).await
    }

    async fn blob(&self, repository: &str, digest: &Digest, offset: u64) -> Result<ByteStream, Error> {
        let what = format!("blob {digest} of {repository}");
        let mut headers = HeaderMap::new();
        if offset > 0 {
            let range = HeaderValue::from_str(&format!("bytes={offset}-"));
            headers.insert(RANGE, range.map_err(|e| Error::malformed(&what, e))?);
        }
        let response = self.http.send(repository, Method::GET, &format!("blobs/{digest}"), headers).await?;
        if response.status() == StatusCode::RANGE_NOT_SATISFIABLE {
            return Ok(stream::empty().boxed());
        }
        let response = self.http.success(response, &what)?;
        let skip = to_skip(&response, offset).ok_or_else(|| Error::Malformed {
            what: what.clone(),
            detail: "the registry sent another part than was asked for".to_owned(),
        })?;
        Ok(skip_bytes(self.http.stream(response), skip))
    }
}

/// How many bytes come before those asked for: all, where the server does not know ranges.
fn to_skip(response: &Response, offset: u64) -> Option<u64> {
    if response.status() != StatusCode::PARTIAL_CONTENT {
        return Some(offset);
    }
    let range = header(response, "content-range")?;
    let start: u64 = range.strip_prefix("bytes ")?.split_once('-')?.0.parse().ok()?;
    (start == offset).then_some(0)
}

fn skip_bytes(stream: ByteStream, skip: u64) -> ByteStream {
    let left = move |left: &mut u64, mut bytes: Bytes| {
        let skipped = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
        *left = left.saturating_sub(u64::try_from(skipped).unwrap_or(u64::MAX));
        bytes.split_off(skipped)
    };
    stream
        .scan(skip, move |state, item| future::ready(Some(item.map(|bytes| left(state, bytes)))))
        .try_filter(|bytes| future::ready(!bytes.is_empty()))
        .boxed()
}

fn accept_documents() -> HeaderMap {
    [OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_INDEX]
        .into_iter()
        .map(|media_type| (ACCEPT, HeaderValue::from_static(media_type)))
        .collect()
}

fn header(response: &Response, name: &str) -> Option<String> {
    response.headers().get(name)?.to_str().ok().map(str::to_owned)
}

/// A media type without its parameters.
fn essence(media_type: String) -> String {
    media_type.split(';').next().map(|t| t.trim().to_owned()).unwrap_or(media_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bytes_before_the_offset_are_dropped() {
        let chunks = ["012", "", "345", "6789"].map(|c| Ok(Bytes::from_static(c.as_bytes())));
        let rest: Vec<Bytes> = skip_bytes(stream::iter(chunks).boxed(), 4).try_collect().await.unwrap();
        assert_eq!(rest.concat(), b"456789");
    }
}
