//! Amazon ECR: tokens and listings from its API, manifests and blobs from the registry that it names.

pub(crate) mod location;
mod token;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_ecr::Client;
use aws_sdk_ecr::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_ecr::types::ImageIdentifier;
use trackyard_protocol::version::Digest;

use crate::document::Document;
use crate::error::ImageError;
use crate::options::ImageOptions;
use crate::source::registry::Registry;
use crate::source::{ByteStream, Source};
use location::Location;
use token::TokenCache;

const PAGE_SIZE: i32 = 1000;
const MAX_IMAGES: usize = 100_000;

/// One ECR registry.
pub(crate) struct Ecr {
    pub(crate) client: Client,
    pub(crate) location: Location,
    tokens: Arc<TokenCache>,
    options: ImageOptions,
    /// Set with the first token, which names the registry.
    registry: tokio::sync::OnceCell<Registry>,
}

impl Ecr {
    pub(crate) async fn connect(location: &str, options: &ImageOptions) -> Result<Self, ImageError> {
        let location = Location::parse(location, options.ecr_endpoint.as_deref())?;
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .region(Region::new(location.region().to_owned()))
            .timeout_config(TimeoutConfig::builder().operation_attempt_timeout(options.stall_timeout).build())
            .retry_config(RetryConfig::standard().with_max_attempts(options.max_attempts.max(1)));
        if let Some(credentials) = &options.ecr_credentials {
            loader = loader.credentials_provider(credentials.clone());
        }
        let shared = loader.load().await;
        let mut config = aws_sdk_ecr::config::Builder::from(&shared);
        if let Some(endpoint) = &options.ecr_endpoint {
            config = config.endpoint_url(endpoint);
        }
        let client = Client::from_conf(config.build());
        let tokens = Arc::new(TokenCache::new(client.clone(), location.clone()));
        Ok(Self {
            client,
            location,
            tokens,
            options: options.clone(),
            registry: tokio::sync::OnceCell::new(),
        })
    }

    /// Returns the registry client, which is made with the first token.
    pub(crate) async fn registry(&self) -> Result<&Registry, ImageError> {
        self.registry
            .get_or_try_init(|| async {
                let endpoint = self.tokens.endpoint().await?;
                let tokens = Arc::<TokenCache>::clone(&self.tokens);
                Registry::with_credentials(endpoint, tokens, &self.options)
            })
            .await
    }

    /// Returns the digest of a tag in ECR's own listing.
    pub(crate) async fn digest_of(&self, repository: &str, tag: &str) -> Result<Digest, ImageError> {
        let what = format!("{repository}:{tag}");
        let request = self
            .client
            .describe_images()
            .registry_id(self.location.account())
            .repository_name(repository)
            .image_ids(ImageIdentifier::builder().image_tag(tag).build());
        let answer = request.send().await.map_err(|error| api_error(&what, self.location.host(), &error))?;
        let digest = answer.image_details().first().and_then(|image| image.image_digest());
        parse_digest(&what, digest)
    }
}

#[async_trait]
impl Source for Ecr {
    async fn tagged_document(&self, repository: &str, tag: &str) -> Result<Document, ImageError> {
        let digest = self.digest_of(repository, tag).await?;
        let document = self.document(repository, &digest).await?;
        document.verify(&format!("{repository}:{tag}"), &digest)?;
        Ok(document)
    }

    async fn list(&self, repository: &str) -> Result<BTreeMap<Digest, Vec<String>>, ImageError> {
        let what = format!("the images of {repository}");
        let mut pages = self
            .client
            .describe_images()
            .registry_id(self.location.account())
            .repository_name(repository)
            .into_paginator()
            .page_size(PAGE_SIZE)
            .items()
            .send();
        let mut all = BTreeMap::new();
        while let Some(image) = pages.next().await {
            let image = image.map_err(|error| api_error(&what, self.location.host(), &error))?;
            if image.image_tags().is_empty() {
                continue;
            }
            all.insert(parse_digest(&what, image.image_digest())?, image.image_tags().to_vec());
            if all.len() > MAX_IMAGES {
                return Err(ImageError::TooLarge { what, limit: 100_000 });
            }
        }
        Ok(all)
    }

    async fn document(&self, repository: &str, digest: &Digest) -> Result<Document, ImageError> {
        self.registry().await?.document(repository, digest).await
    }

    async fn blob(&self, repository: &str, digest: &Digest, offset: u64) -> Result<ByteStream, ImageError> {
        self.registry().await?.blob(repository, digest, offset).await
    }
}

fn parse_digest(what: &str, digest: Option<&str>) -> Result<Digest, ImageError> {
    let digest = digest.and_then(|digest| digest.parse().ok());
    digest.ok_or_else(|| ImageError::malformed(what, "ECR's answer has no sha256 digest"))
}

/// Converts an error of the ECR API.
pub(crate) fn api_error<E, R>(what: &str, host: &str, error: &SdkError<E, R>) -> ImageError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug,
{
    let location = format!("ECR {host}");
    let SdkError::ServiceError(service) = error else {
        return ImageError::Unreachable { location, detail: DisplayErrorContext(error).to_string() };
    };
    let code = service.err().code().unwrap_or("unknown");
    match code {
        "ImageNotFoundException" | "RepositoryNotFoundException" => {
            ImageError::NotFound { what: what.to_owned(), location }
        }
        code if code.contains("Throttling") || code == "TooManyRequestsException" => {
            ImageError::Throttled { location }
        }
        "ServerException" | "InternalFailure" | "ServiceUnavailable" | "ServiceUnavailableException" => {
            ImageError::Unreachable { location, detail: code.to_owned() }
        }
        code => ImageError::Unauthorized {
            location,
            detail: format!(
                "{code}: check that the credentials allow ecr:GetAuthorizationToken and ecr:DescribeImages, and to \
                 release also ecr:CreateRepository"
            ),
        },
    }
}
