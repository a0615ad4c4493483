//! Submissions from a bucket: all objects below a prefix, a few at a time, counted while they stream.

#[cfg(test)]
mod tests;

use std::fmt::Debug;
use std::io::Write;
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{Builder, RequestChecksumCalculation, ResponseChecksumValidation};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use futures_util::{TryStreamExt, stream};
use trackyard_protocol::source::InputPolicy;

use super::error::InputError;
use super::input_dir::InputDir;
use super::plan::{ByteBudget, InputLimits, InputPlan};

/// Maximum number of objects that are fetched at one time. More was measured to be no faster.
const MAX_PARALLEL_OBJECTS: usize = 12;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long one attempt of a request may take until its headers have arrived.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the body of an object may pause.
const STALL_TIMEOUT: Duration = Duration::from_secs(5);

/// A client of the service that has all buckets. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct S3 {
    client: Client,
}

impl S3 {
    /// Creates a client. It finds credentials and region as every AWS tool does.
    pub(super) async fn connect(policy: &InputPolicy) -> Self {
        Self::with(&aws_config::defaults(BehaviorVersion::latest()).load().await, policy)
    }

    fn with(shared: &SdkConfig, policy: &InputPolicy) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(ATTEMPT_TIMEOUT)
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .build();
        let mut config = Builder::from(shared)
            .force_path_style(policy.path_style)
            .timeout_config(timeouts)
            .retry_config(RetryConfig::standard().with_max_attempts(3));
        if shared.region().is_none() {
            config = config.region(Region::from_static("us-east-1"));
        }
        if let Some(endpoint) = &policy.endpoint {
            // Many servers other than Amazon's do not support the newer checksums.
            config = config
                .endpoint_url(endpoint)
                .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
                .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
        }
        Self { client: Client::from_conf(config.build()) }
    }

    /// Fetches all objects below `prefix`, which has no slash at its end, and returns their number.
    pub(super) async fn fetch(
        &self,
        bucket: &str,
        prefix: &str,
        limits: &InputLimits,
        dir: &InputDir,
        budget: &ByteBudget,
    ) -> Result<usize, InputError> {
        // Without the slash, 12 would also match 123.
        let prefix = format!("{prefix}/");
        let paths = self.list(bucket, &prefix, *limits).await?;
        let count = paths.len();
        stream::iter(paths.into_iter().map(Ok))
            .try_for_each_concurrent(MAX_PARALLEL_OBJECTS, |path| {
                let key = format!("{prefix}{path}");
                async move { self.fetch_one(bucket, &key, &path, dir, budget).await }
            })
            .await?;
        Ok(count)
    }

    /// Lists the paths below `prefix`. Stops at the first page that exceeds a limit.
    async fn list(&self, bucket: &str, prefix: &str, limits: InputLimits) -> Result<Vec<String>, InputError> {
        let source = || format!("s3://{bucket}/{prefix}");
        let mut plan = InputPlan::new(limits);
        let mut pages = self.client.list_objects_v2().bucket(bucket).prefix(prefix).into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| InputError::download(source(), describe(&error)))?;
            for object in page.contents() {
                let key = object.key().unwrap_or_default();
                let path = key.strip_prefix(prefix).ok_or_else(|| {
                    InputError::unsafe_key(key, "it is not below the prefix that was listed")
                })?;
                plan.add(path, u64::try_from(object.size().unwrap_or_default()).unwrap_or_default())?;
            }
        }
        plan.finish(source)
    }

    async fn fetch_one(
        &self,
        bucket: &str,
        key: &str,
        path: &str,
        dir: &InputDir,
        budget: &ByteBudget,
    ) -> Result<(), InputError> {
        let what = || format!("s3://{bucket}/{key}");
        let object = self.client.get_object().bucket(bucket).key(key).send().await;
        let mut body = object.map_err(|error| InputError::download(what(), describe(&error)))?.body;
        let mut file = dir.create(path, false)?;
        while let Some(chunk) = next_chunk(&mut body, &what).await? {
            budget.take(chunk.len())?;
            // The job directory is in memory, so writing does not block.
            file.write_all(&chunk)?;
        }
        Ok(())
    }
}

async fn next_chunk(
    body: &mut ByteStream,
    what: &impl Fn() -> String,
) -> Result<Option<bytes::Bytes>, InputError> {
    match tokio::time::timeout(STALL_TIMEOUT, body.next()).await {
        Err(_) => {
            Err(InputError::download(what(), format!("no byte came for {} s", STALL_TIMEOUT.as_secs())))
        }
        Ok(None) => Ok(None),
        Ok(Some(Ok(chunk))) => Ok(Some(chunk)),
        Ok(Some(Err(_))) => Err(InputError::download(what(), "the transfer broke off")),
    }
}

/// Describes an error in a few words, without the server's own text and the request's details (signature, token).
fn describe<E: ProvideErrorMetadata + Debug, R: Debug>(error: &SdkError<E, R>) -> String {
    match error {
        SdkError::ConstructionFailure(_) => "the request cannot be made".to_owned(),
        SdkError::TimeoutError(_) => "no answer in time".to_owned(),
        SdkError::DispatchFailure(failure) if failure.is_io() => "no connection".to_owned(),
        SdkError::DispatchFailure(failure) if failure.is_timeout() => "no answer in time".to_owned(),
        SdkError::DispatchFailure(_) => "no request could be sent; are there credentials?".to_owned(),
        SdkError::ResponseError(_) => "the answer cannot be read".to_owned(),
        other => {
            let code = other
                .code()
                .filter(|code| code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_alphanumeric()));
            code.map_or_else(|| "the server refused".to_owned(), |code| format!("the server said {code}"))
        }
    }
}
