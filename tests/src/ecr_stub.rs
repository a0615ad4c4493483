//! A stub of ECR: the control plane runs in this process; the data comes from a docker-registry behind a front that
//! accepts ECR's tokens, and redirects requests for blobs to another host, which refuses an `Authorization` header.

mod control;
mod front;
mod http_server;
mod pushes;
mod repositories;
mod uploads;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};

pub use front::{RegistryFront, RequestCounts};
use http_server::HttpServer;
use repositories::Repositories;
pub use repositories::RepositorySettings;

use crate::registry::Registry;

/// The location that a client is configured with.
pub const LOCATION: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
/// Maximum number of images in one page, whatever the request asks for.
pub const MAX_PAGE: usize = 100;

/// The state of the control plane.
#[derive(Debug, Default)]
pub(crate) struct Account {
    /// Repository, tag and digest, in the order in which they were put.
    tags: Vec<(String, String, String)>,
    tokens_given: u32,
    lifetime: Option<Duration>,
    expiry_is_in_the_past: bool,
    throttle: u32,
    throttle_registry: u32,
    pages: u32,
    repositories: Repositories,
    /// Tokens up to this number are expired.
    expired: u32,
    /// Bytes that may still be sent before all tokens given so far expire, and the status that refuses them then.
    expire_after: Option<(usize, u16)>,
    /// The registry that the tokens are for.
    registry: String,
}

/// A running ECR.
pub struct EcrStub {
    account: Arc<Mutex<Account>>,
    front: RegistryFront,
    control: HttpServer,
}

/// The error that a tag already names another image.
#[derive(Debug, PartialEq, Eq)]
pub struct TagAlreadyExists;

impl EcrStub {
    /// Starts a stub whose data comes from `registry`.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(registry: &Registry) -> Self {
        let account = Arc::new(Mutex::new(Account::default()));
        let front = RegistryFront::for_account(registry, Arc::clone(&account));
        lock(&account).registry = front.location();
        let control = HttpServer::start(control::service(Arc::clone(&account)));
        Self { account, front, control }
    }

    /// Returns the endpoint to use instead of Amazon's.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.control.address())
    }

    /// Returns credentials for the control plane, which accepts any.
    #[must_use]
    pub fn credentials() -> SharedCredentialsProvider {
        let credentials = Credentials::builder().access_key_id("tests").secret_access_key("not-a-secret");
        SharedCredentialsProvider::new(credentials.provider_name("tests").build())
    }

    /// Adds a tag for an image, which need not exist in the registry.
    ///
    /// # Errors
    /// When the tag already names another image.
    pub fn put_tag(&self, repository: &str, tag: &str, digest: &str) -> Result<(), TagAlreadyExists> {
        let mut account = lock(&self.account);
        let existing = account.tags.iter().find(|(r, t, _)| r == repository && t == tag);
        if let Some((_, _, existing)) = existing {
            return if existing == digest { Ok(()) } else { Err(TagAlreadyExists) };
        }
        account.tags.push((repository.to_owned(), tag.to_owned(), digest.to_owned()));
        Ok(())
    }

    /// Makes tokens name the registry at `location`, such as a proxy in front of the front.
    pub fn set_registry(&self, location: &str) {
        location.clone_into(&mut lock(&self.account).registry);
    }

    /// Returns the settings with which a repository was created; `None` if it was not.
    #[must_use]
    pub fn settings(&self, repository: &str) -> Option<RepositorySettings> {
        lock(&self.account).repositories.settings(repository).cloned()
    }

    /// Creates a repository, as another client might.
    pub fn create(&self, repository: &str, settings: RepositorySettings) {
        let _ = lock(&self.account).repositories.create(repository, settings);
    }

    /// Expires all tokens given so far after `bytes` more bytes of blobs were sent; then `status` refuses them.
    pub fn expire_tokens_after(&self, bytes: usize, status: u16) {
        lock(&self.account).expire_after = Some((bytes, status));
    }

    /// Throttles the next `count` requests to the registry.
    pub fn throttle_registry(&self, count: u32) {
        lock(&self.account).throttle_registry = count;
    }

    /// Refuses all tokens until [`renew_tokens`](Self::renew_tokens).
    pub fn expire_tokens(&self) {
        lock(&self.account).lifetime = Some(Duration::ZERO);
    }

    /// Accepts tokens again.
    pub fn renew_tokens(&self) {
        lock(&self.account).lifetime = None;
    }

    /// Gives valid tokens whose stated expiry is in the past, as a server with a wrong clock would.
    pub fn set_expiry_in_the_past(&self) {
        lock(&self.account).expiry_is_in_the_past = true;
    }

    /// Throttles the next `count` requests to the control plane.
    pub fn throttle(&self, count: u32) {
        lock(&self.account).throttle = count;
    }

    /// Returns the number of tokens given.
    #[must_use]
    pub fn tokens_given(&self) -> u32 {
        lock(&self.account).tokens_given
    }

    /// Returns the number of pages of images given.
    #[must_use]
    pub fn pages_given(&self) -> u32 {
        lock(&self.account).pages
    }

    /// Returns the registry that the tokens are for.
    #[must_use]
    pub const fn front(&self) -> &RegistryFront {
        &self.front
    }
}

pub(crate) fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
