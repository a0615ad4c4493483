//! Fetches a submission's files into the job directory.
//!
//! - `plan` (pure): checks that every name is safe and that the submission is not too large
//! - `s3`, `file`: read the files
//! - `input_dir`: writes them, by descriptor, never through a link

mod error;
mod file;
mod input_dir;
pub(crate) mod plan;
mod s3;

use std::os::fd::OwnedFd;
use std::sync::Arc;

use tokio::sync::OnceCell;
use trackyard_protocol::limits::Limits;
use trackyard_protocol::source::InputPolicy;
use trackyard_protocol::uri::{InputUri, Location};

pub use error::InputError;
pub use plan::InputLimits;

use input_dir::InputDir;
use plan::ByteBudget;
use s3::S3;

/// The sources that submissions may come from. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Inputs {
    policy: Arc<InputPolicy>,
    /// Created at the first use, because finding the credentials may take seconds.
    s3: Arc<OnceCell<S3>>,
}

/// The size of what was fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fetched {
    /// Number of files.
    pub files: usize,
    /// Bytes of all files together.
    pub bytes: u64,
}

impl Inputs {
    /// Takes the sources of `policy`. Sends no request yet.
    #[must_use]
    pub fn new(policy: InputPolicy) -> Self {
        Self { policy: Arc::new(policy), s3: Arc::default() }
    }

    /// Finds the credentials now, so that no job has to wait for it.
    pub async fn warm_up(&self) {
        if !self.policy.buckets.is_empty() {
            self.s3().await;
        }
    }

    /// Returns the policy that names the sources.
    #[must_use]
    pub fn policy(&self) -> &InputPolicy {
        &self.policy
    }

    /// Writes all files of `uri` below `dir`, which should be empty.
    ///
    /// # Errors
    /// When the source is not allowed, has no files or too many, a name is not safe, or a file cannot be fetched.
    pub async fn fetch(&self, uri: &InputUri, limits: &Limits, dir: OwnedFd) -> Result<Fetched, InputError> {
        let dir = InputDir::new(dir);
        let budget = ByteBudget::new(limits.input_bytes.0);
        let limits = InputLimits::of(limits);
        let files = match uri.location() {
            Location::S3 { bucket, .. } if !self.policy.buckets.iter().any(|allowed| allowed == bucket) => {
                return Err(InputError::Bucket(bucket.to_owned()));
            }
            Location::S3 { bucket, prefix } => {
                self.s3().await.fetch(bucket, prefix, &limits, &dir, &budget).await?
            }
            Location::File { path } => {
                file::fetch(&self.policy.allowed_folders, path, limits, dir, budget.clone()).await?
            }
        };
        Ok(Fetched { files, bytes: budget.used() })
    }

    async fn s3(&self) -> &S3 {
        self.s3.get_or_init(|| S3::connect(&self.policy)).await
    }
}
