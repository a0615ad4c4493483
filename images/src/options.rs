//! What a caller may set.

use std::path::PathBuf;
use std::time::Duration;

use aws_sdk_ecr::config::SharedCredentialsProvider;

/// How to reach the images. [`Options::default`] suits a machine with a plain network.
#[derive(Debug, Clone)]
pub struct Options {
    /// A Docker configuration file (`config.json`) whose `auths` hold user names and passwords. It is read again
    /// whenever a registry asks for credentials, so that it may be replaced while the program runs.
    pub docker_config: Option<PathBuf>,
    /// A PEM file of certificate authorities to trust beside the system's, for a registry with a private one.
    pub ca_file: Option<PathBuf>,
    /// An ECR endpoint other than Amazon's. Tokens are then also sent to this endpoint's host, on any port.
    pub ecr_endpoint: Option<String>,
    /// AWS credentials other than those that the SDK finds by itself: in the environment, by a web identity, from the
    /// instance.
    pub ecr_credentials: Option<SharedCredentialsProvider>,
    /// How often one request, or one blob, is tried in all.
    pub attempts: u32,
    /// The wait before the second attempt; it doubles from then on, up to 20 times this, with jitter.
    pub first_backoff: Duration,
    /// How long to wait for a connection.
    pub connect: Duration,
    /// How long an answer or a blob may make no progress, or a blob less than 16 KiB a second.
    pub stall: Duration,
    /// How long a registry may take to store a blob or manifest once it has all bytes.
    pub store: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            docker_config: None,
            ca_file: None,
            ecr_endpoint: None,
            ecr_credentials: None,
            attempts: 5,
            first_backoff: Duration::from_millis(200),
            connect: Duration::from_secs(10),
            stall: Duration::from_secs(30),
            store: Duration::from_secs(300),
        }
    }
}

impl Options {
    pub(crate) fn backoff(&self) -> backon::ExponentialBuilder {
        backon::ExponentialBuilder::default()
            .with_min_delay(self.first_backoff)
            .with_max_delay(self.first_backoff.saturating_mul(20))
            .with_max_times(usize::try_from(self.attempts.saturating_sub(1)).unwrap_or(usize::MAX))
            .with_jitter()
    }
}
