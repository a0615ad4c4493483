//! Releasing to ECR: a repository is made when it is missing, the rest is its registry's.

use async_trait::async_trait;
use aws_sdk_ecr::error::ProvideErrorMetadata;
use aws_sdk_ecr::types::{
    ImageTagMutability, ImageTagMutabilityExclusionFilter, ImageTagMutabilityExclusionFilterType,
};
use trackyard_protocol::version::Digest;

use super::{Ecr, failure};
use crate::error::Error;
use crate::release::{Built, BuiltBlob, Put, ReleaseError, Tag, Target, Watch};

/// What ECR itself never lets anyone overwrite, though other tags may move. `IMMUTABLE_WITH_EXCLUSION` could only
/// say it the other way round, with a list of all names that may move: branches cannot be listed.
const FOR_EVER: [&str; 2] = ["git-*", "build-*"];

#[async_trait]
impl Target for Ecr {
    async fn named(&self, repository: &str, tag: &str) -> Result<Option<Digest>, Error> {
        match self.digest_of(repository, tag).await {
            Ok(digest) => Ok(Some(digest)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn prepare(&self, repository: &str) -> Result<(), ReleaseError> {
        let what = format!("repository {repository}");
        let look = self.client.describe_images().registry_id(self.location.account());
        let look = look.repository_name(repository).max_results(1).send().await;
        match look.map_err(|error| failure(&what, self.location.host(), &error)) {
            Ok(_) => Ok(()),
            Err(Error::NotFound { .. }) => Ok(self.create(repository, &what).await?),
            Err(error) => Err(error.into()),
        }
    }

    async fn put_blob(
        &self,
        repository: &str,
        built: &Built,
        blob: &BuiltBlob,
        watch: &Watch,
    ) -> Result<(), ReleaseError> {
        self.registry().await?.put_blob(repository, built, blob, watch).await
    }

    async fn put_tag(&self, repository: &str, built: &Built, tag: &Tag) -> Result<Put, ReleaseError> {
        self.registry().await?.put_tag(repository, built, tag).await
    }
}

impl Ecr {
    async fn create(&self, repository: &str, what: &str) -> Result<(), Error> {
        let filters: Result<Vec<_>, _> = FOR_EVER.iter().map(|pattern| filter(pattern)).collect();
        let filters = filters.map_err(|e| Error::configuration(what, e.to_string()))?;
        let request = self
            .client
            .create_repository()
            .registry_id(self.location.account())
            .repository_name(repository)
            .image_tag_mutability(ImageTagMutability::MutableWithExclusion)
            .set_image_tag_mutability_exclusion_filters(Some(filters));
        match request.send().await {
            Ok(_) => Ok(()),
            // Another builder was faster.
            Err(error) if error.code() == Some("RepositoryAlreadyExistsException") => Ok(()),
            Err(error) => Err(failure(what, self.location.host(), &error)),
        }
    }
}

fn filter(pattern: &str) -> Result<ImageTagMutabilityExclusionFilter, aws_sdk_ecr::error::BuildError> {
    ImageTagMutabilityExclusionFilter::builder()
        .filter_type(ImageTagMutabilityExclusionFilterType::Wildcard)
        .filter(pattern)
        .build()
}
