//! Releasing to a registry.

mod error_response;
pub(crate) mod location;
mod repository_client;
mod upload;
mod upload_body;

use async_trait::async_trait;
use backon::Retryable;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use trackyard_protocol::version::Digest;

use super::{BuiltBlob, BuiltImage, PutOutcome, ReleaseControl, ReleaseError, Tag, Target, none_if_missing};
use crate::error::ImageError;
use crate::source::registry::{Registry, header};
use repository_client::RepositoryClient;
use upload::Upload;

#[async_trait]
impl Target for Registry {
    async fn resolve_tag(&self, repository: &str, tag: &str) -> Result<Option<Digest>, ImageError> {
        none_if_missing(self.digest_of(repository, tag).await)
    }

    /// Does nothing: a registry creates a repository with its first blob.
    async fn prepare_repository(&self, _: &str) -> Result<(), ReleaseError> {
        Ok(())
    }

    async fn put_blob(
        &self,
        repository: &str,
        built: &BuiltImage,
        blob: &BuiltBlob,
        control: &ReleaseControl,
    ) -> Result<(), ReleaseError> {
        Upload::new(self.repository_client(repository), built, blob, control).run().await
    }

    async fn put_tag(
        &self,
        repository: &str,
        built: &BuiltImage,
        tag: &Tag,
    ) -> Result<PutOutcome, ReleaseError> {
        let client = self.repository_client(repository);
        let put = || put_manifest(&client, built, &tag.name);
        put.retry(self.options.backoff()).when(ReleaseError::is_transient).await?;
        Ok(PutOutcome::Written)
    }
}

impl Registry {
    const fn repository_client<'a>(&'a self, repository: &'a str) -> RepositoryClient<'a> {
        RepositoryClient { http: &self.http, options: &self.options, repository }
    }
}

async fn put_manifest(
    client: &RepositoryClient<'_>,
    built: &BuiltImage,
    tag: &str,
) -> Result<(), ReleaseError> {
    let what = format!("the manifest as {}:{tag}", client.repository);
    let url = client.url(&format!("manifests/{tag}"))?;
    let media_type = HeaderValue::from_str(&built.media_type);
    let media_type = media_type.map_err(|e| ImageError::malformed("the manifest's media type", e))?;
    let request = || {
        let request = client.http.upload_client().request(Method::PUT, url.clone());
        request.header(CONTENT_TYPE, media_type.clone()).body(built.manifest.bytes.clone())
    };
    let response = client.request(&what, client.options.store_timeout, &url, request).await?;
    let response = client.check_status(response, &what).await?;
    client.check_digest(&what, &built.digest, header(&response, "docker-content-digest").as_deref())
}
