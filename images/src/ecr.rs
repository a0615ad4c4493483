//! Amazon ECR: token and listing from its API, manifests and blobs from the registry that it names.

pub(crate) mod location;
mod push;
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
use crate::error::Error;
use crate::options::Options;
use crate::registry::Registry;
use crate::source::{ByteStream, Source};
use location::Location;
use token::Tokens;

const PAGE: i32 = 1000;
const MAX_IMAGES: usize = 100_000;

/// One ECR registry.
pub(crate) struct Ecr {
    client: Client,
    location: Location,
    tokens: Arc<Tokens>,
    options: Options,
    /// Known once the first token came, which names it.
    registry: tokio::sync::OnceCell<Registry>,
}

impl Ecr {
    pub(crate) async fn connect(location: &str, options: &Options) -> Result<Self, Error> {
        let location = Location::parse(location, options.ecr_endpoint.as_deref())?;
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .region(Region::new(location.region().to_owned()))
            .timeout_config(TimeoutConfig::builder().operation_attempt_timeout(options.stall).build())
            .retry_config(RetryConfig::standard().with_max_attempts(options.attempts.max(1)));
        if let Some(credentials) = &options.ecr_credentials {
            loader = loader.credentials_provider(credentials.clone());
        }
        let shared = loader.load().await;
        let mut config = aws_sdk_ecr::config::Builder::from(&shared);
        if let Some(endpoint) = &options.ecr_endpoint {
            config = config.endpoint_url(endpoint);
        }
        let client = Client::from_conf(config.build());
        let tokens = Arc::new(Tokens::new(client.clone(), location.clone()));
        Ok(Self {
            client,
            location,
            tokens,
            options: options.clone(),
            registry: tokio::sync::OnceCell::new(),
        })
    }

    async fn registry(&self) -> Result<&Registry, Error> {
        let connect = || async {
            let endpoint = self.tokens.endpoint().await?;
            let tokens = Arc::<Tokens>::clone(&self.tokens);
            Registry::with_credentials(endpoint, tokens, &self.options)
        };
        self.registry.get_or_try_init(connect).await
    }

    /// The digest that ECR's own listing gives for a tag.
    async fn digest_of(&self, repository: &str, tag: &str) -> Result<Digest, Error> {
        let what = format!("{repository}:{tag}");
        let request = self
            .client
            .describe_images()
            .registry_id(self.location.account())
            .repository_name(repository)
            .image_ids(ImageIdentifier::builder().image_tag(tag).build());
        let answer = request.send().await.map_err(|error| failure(&what, self.location.host(), &error))?;
        let digest = answer.image_details().first().and_then(|image| image.image_digest());
        parse_digest(&what, digest)
    }
}

#[async_trait]
impl Source for Ecr {
    async fn tagged(&self, repository: &str, tag: &str) -> Result<Document, Error> {
        let digest = self.digest_of(repository, tag).await?;
        let document = self.document(repository, &digest).await?;
        document.verify(&format!("{repository}:{tag}"), &digest)?;
        Ok(document)
    }

    async fn list(&self, repository: &str) -> Result<BTreeMap<Digest, Vec<String>>, Error> {
        let what = format!("the images of {repository}");
        let mut pages = self
            .client
            .describe_images()
            .registry_id(self.location.account())
            .repository_name(repository)
            .into_paginator()
            .page_size(PAGE)
            .items()
            .send();
        let mut all = BTreeMap::new();
        while let Some(image) = pages.next().await {
            let image = image.map_err(|error| failure(&what, self.location.host(), &error))?;
            if image.image_tags().is_empty() {
                continue;
            }
            all.insert(parse_digest(&what, image.image_digest())?, image.image_tags().to_vec());
            if all.len() > MAX_IMAGES {
                return Err(Error::TooLarge { what, limit: 100_000 });
            }
        }
        Ok(all)
    }

    async fn document(&self, repository: &str, digest: &Digest) -> Result<Document, Error> {
        self.registry().await?.document(repository, digest).await
    }

    async fn blob(&self, repository: &str, digest: &Digest, offset: u64) -> Result<ByteStream, Error> {
        self.registry().await?.blob(repository, digest, offset).await
    }
}

fn parse_digest(what: &str, digest: Option<&str>) -> Result<Digest, Error> {
    let digest = digest.and_then(|digest| digest.parse().ok());
    digest.ok_or_else(|| Error::malformed(what, "ECR answers without a sha256 digest"))
}

/// An error of the API in this crate's words.
fn failure<E, R>(what: &str, host: &str, error: &SdkError<E, R>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug,
{
    let place = format!("ECR {host}");
    let SdkError::ServiceError(service) = error else {
        return Error::Unreachable { place, detail: DisplayErrorContext(error).to_string() };
    };
    let code = service.err().code().unwrap_or("unknown");
    match code {
        "ImageNotFoundException" | "RepositoryNotFoundException" => {
            Error::NotFound { what: what.to_owned(), place }
        }
        code if code.contains("Throttling") || code == "TooManyRequestsException" => {
            Error::Throttled { place }
        }
        "ServerException" | "InternalFailure" | "ServiceUnavailable" | "ServiceUnavailableException" => {
            Error::Unreachable { place, detail: code.to_owned() }
        }
        code => Error::Unauthorized {
            place,
            detail: format!(
                "{code}: see that the credentials allow ecr:GetAuthorizationToken and ecr:DescribeImages, and to \
                 release ecr:CreateRepository"
            ),
        },
    }
}
