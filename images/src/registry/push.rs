//! Releasing to a registry.

mod answer;
mod body;
pub(crate) mod location;
mod upload;
mod wire;

use async_trait::async_trait;
use backon::Retryable;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use trackyard_protocol::version::Digest;

use super::{Registry, header};
use crate::error::Error;
use crate::release::{Built, BuiltBlob, Put, ReleaseError, Tag, Target, Watch};
use upload::Upload;
use wire::Wire;

#[async_trait]
impl Target for Registry {
    async fn named(&self, repository: &str, tag: &str) -> Result<Option<Digest>, Error> {
        match self.digest_of(repository, tag).await {
            Ok(digest) => Ok(Some(digest)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A registry makes a repository when something is put into it.
    async fn prepare(&self, _: &str) -> Result<(), ReleaseError> {
        Ok(())
    }

    async fn put_blob(
        &self,
        repository: &str,
        built: &Built,
        blob: &BuiltBlob,
        watch: &Watch,
    ) -> Result<(), ReleaseError> {
        Upload::new(self.wire(repository), built, blob, watch).run().await
    }

    async fn put_tag(&self, repository: &str, built: &Built, tag: &Tag) -> Result<Put, ReleaseError> {
        let wire = self.wire(repository);
        let put = || put_manifest(&wire, built, &tag.name);
        put.retry(self.options.backoff()).when(ReleaseError::is_transient).await?;
        Ok(Put::Written)
    }
}

impl Registry {
    const fn wire<'a>(&'a self, repository: &'a str) -> Wire<'a> {
        Wire { http: &self.http, options: &self.options, repository }
    }
}

async fn put_manifest(wire: &Wire<'_>, built: &Built, tag: &str) -> Result<(), ReleaseError> {
    let what = format!("the manifest as {}:{tag}", wire.repository);
    let url = wire.url(&format!("manifests/{tag}"))?;
    let media_type = HeaderValue::from_str(&built.media_type);
    let media_type = media_type.map_err(|e| Error::malformed("the manifest's media type", e))?;
    let request = || {
        let request = wire.http.sender().request(Method::PUT, url.clone());
        request.header(CONTENT_TYPE, media_type.clone()).body(built.manifest.bytes.clone())
    };
    let response = wire.ask(&what, wire.options.store, &url, request).await?;
    let response = wire.success(response, &what).await?;
    wire.same_digest(&what, &built.digest, header(&response, "docker-content-digest").as_deref())
}
