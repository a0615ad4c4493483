//! A caller's settings.

use std::path::PathBuf;
use std::time::Duration;

use aws_sdk_ecr::config::SharedCredentialsProvider;

/// How to reach the images. The defaults suit a machine with a plain network.
#[derive(Debug, Clone)]
pub struct ImageOptions {
    /// A Docker configuration file (`config.json`) whose `auths` hold user names and passwords. It is read again
    /// whenever a registry asks for credentials, so that it may be replaced while the program runs.
    pub docker_config: Option<PathBuf>,
    /// A PEM file of certificate authorities to trust beside the system's, for a registry with a private one.
    pub ca_file: Option<PathBuf>,
    /// An ECR endpoint other than Amazon's. Tokens are then also sent to this endpoint's host, on any port.
    pub ecr_endpoint: Option<String>,
    /// AWS credentials to use instead of those that the SDK finds: in the environment, by a web identity, from the
    /// instance.
    pub ecr_credentials: Option<SharedCredentialsProvider>,
    /// Maximum number of attempts of one request or one blob transfer.
    pub max_attempts: u32,
    /// Delay before the second attempt. It doubles with each further attempt, up to 20 times this, with jitter.
    pub first_backoff: Duration,
    /// Timeout of a connection attempt.
    pub connect_timeout: Duration,
    /// How long an answer or a blob may make no progress. A blob slower than 16 KiB a second makes none.
    pub stall_timeout: Duration,
    /// How long a registry may take to store a blob or manifest once it has all bytes.
    pub store_timeout: Duration,
}

impl Default for ImageOptions {
    fn default() -> Self {
        Self {
            docker_config: None,
            ca_file: None,
            ecr_endpoint: None,
            ecr_credentials: None,
            max_attempts: 5,
            first_backoff: Duration::from_millis(200),
            connect_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(30),
            store_timeout: Duration::from_secs(300),
        }
    }
}

impl ImageOptions {
    pub(crate) fn backoff(&self) -> backon::ExponentialBuilder {
        backon::ExponentialBuilder::default()
            .with_min_delay(self.first_backoff)
            .with_max_delay(self.first_backoff.saturating_mul(20))
            .with_max_times(usize::try_from(self.max_attempts.saturating_sub(1)).unwrap_or(usize::MAX))
            .with_jitter()
    }
}
