//! Releasing to ECR: a missing repository is created, the rest is done by its registry client.

use async_trait::async_trait;
use aws_sdk_ecr::error::ProvideErrorMetadata;
use aws_sdk_ecr::types::{
    ImageTagMutability, ImageTagMutabilityExclusionFilter, ImageTagMutabilityExclusionFilterType,
};
use trackyard_protocol::version::Digest;

use super::{BuiltBlob, BuiltImage, PutOutcome, ReleaseControl, ReleaseError, Tag, Target, none_if_missing};
use crate::error::ImageError;
use crate::source::ecr::{Ecr, api_error};

/// Tags that ECR never lets anyone overwrite, while other tags are mutable. `IMMUTABLE_WITH_EXCLUSION` would need the
/// opposite list of all mutable names, but branches cannot be listed.
const IMMUTABLE_TAGS: [&str; 2] = ["git-*", "build-*"];

#[async_trait]
impl Target for Ecr {
    async fn resolve_tag(&self, repository: &str, tag: &str) -> Result<Option<Digest>, ImageError> {
        none_if_missing(self.digest_of(repository, tag).await)
    }

    async fn prepare_repository(&self, repository: &str) -> Result<(), ReleaseError> {
        let what = format!("repository {repository}");
        let request = self.client.describe_images().registry_id(self.location.account());
        let found = request.repository_name(repository).max_results(1).send().await;
        match found.map_err(|error| api_error(&what, self.location.host(), &error)) {
            Ok(_) => Ok(()),
            Err(ImageError::NotFound { .. }) => Ok(self.create(repository, &what).await?),
            Err(error) => Err(error.into()),
        }
    }

    async fn put_blob(
        &self,
        repository: &str,
        built: &BuiltImage,
        blob: &BuiltBlob,
        control: &ReleaseControl,
    ) -> Result<(), ReleaseError> {
        self.registry().await?.put_blob(repository, built, blob, control).await
    }

    async fn put_tag(
        &self,
        repository: &str,
        built: &BuiltImage,
        tag: &Tag,
    ) -> Result<PutOutcome, ReleaseError> {
        self.registry().await?.put_tag(repository, built, tag).await
    }
}

impl Ecr {
    async fn create(&self, repository: &str, what: &str) -> Result<(), ImageError> {
        let filters: Result<Vec<_>, _> = IMMUTABLE_TAGS.iter().map(|pattern| wildcard(pattern)).collect();
        let filters = filters.map_err(|e| ImageError::configuration(what, e.to_string()))?;
        let request = self
            .client
            .create_repository()
            .registry_id(self.location.account())
            .repository_name(repository)
            .image_tag_mutability(ImageTagMutability::MutableWithExclusion)
            .set_image_tag_mutability_exclusion_filters(Some(filters));
        match request.send().await {
            Ok(_) => Ok(()),
            // Another builder has created it meanwhile.
            Err(error) if error.code() == Some("RepositoryAlreadyExistsException") => Ok(()),
            Err(error) => Err(api_error(what, self.location.host(), &error)),
        }
    }
}

fn wildcard(pattern: &str) -> Result<ImageTagMutabilityExclusionFilter, aws_sdk_ecr::error::BuildError> {
    ImageTagMutabilityExclusionFilter::builder()
        .filter_type(ImageTagMutabilityExclusionFilterType::Wildcard)
        .filter(pattern)
        .build()
}
