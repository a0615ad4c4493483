//! ECR for tests: the control plane in this process, the data from a docker-registry behind a front that takes ECR's
//! tokens and sends everyone who wants a blob to another host, which refuses an `Authorization` header.

mod control;
mod front;
mod pushes;
mod repositories;
mod serving;
mod uploads;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};

pub use front::{Front, Seen};
use repositories::Repositories;
pub use repositories::Settings;
use serving::Serving;

use crate::registry::Registry;

/// The location that a client is configured with.
pub const LOCATION: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
/// More images than this never come in one page, whatever is asked for.
pub const PAGE: usize = 100;

/// What the control plane knows.
#[derive(Debug, Default)]
pub(crate) struct Account {
    /// Repository, tag, digest; in the order in which they were put.
    tags: Vec<(String, String, String)>,
    tokens_given: u32,
    lifetime: Option<Duration>,
    stated_in_the_past: bool,
    throttle: u32,
    throttle_registry: u32,
    pages: u32,
    repositories: Repositories,
    /// Tokens up to this number are expired.
    expired: u32,
    /// How many more bytes may be sent before all tokens given so far expire, and how that is told.
    expire: Option<(usize, u16)>,
    /// The registry that tokens are for.
    named: String,
}

/// A running ECR.
pub struct EcrStub {
    account: Arc<Mutex<Account>>,
    front: Front,
    control: Serving,
}

/// A tag names an image for ever.
#[derive(Debug, PartialEq, Eq)]
pub struct TagAlreadyExists;

impl EcrStub {
    /// Starts one whose data comes from `registry`.
    ///
    /// # Panics
    /// When it can't be started.
    #[must_use]
    pub fn start(registry: &Registry) -> Self {
        let account = Arc::new(Mutex::new(Account::default()));
        let front = Front::of_account(registry, Arc::clone(&account));
        lock(&account).named = front.location();
        let control = Serving::start(control::service(Arc::clone(&account)));
        Self { account, front, control }
    }

    /// The endpoint to set in place of Amazon's.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.control.address())
    }

    /// Credentials for the control plane, which looks at none.
    #[must_use]
    pub fn credentials() -> SharedCredentialsProvider {
        let credentials = Credentials::builder().access_key_id("tests").secret_access_key("not-a-secret");
        SharedCredentialsProvider::new(credentials.provider_name("tests").build())
    }

    /// Names an image that the registry may have or not.
    ///
    /// # Errors
    /// When the tag names another image already.
    pub fn put_tag(&self, repository: &str, tag: &str, digest: &str) -> Result<(), TagAlreadyExists> {
        let mut account = lock(&self.account);
        let existing = account.tags.iter().find(|(r, t, _)| r == repository && t == tag);
        if let Some((_, _, named)) = existing {
            return if named == digest { Ok(()) } else { Err(TagAlreadyExists) };
        }
        account.tags.push((repository.to_owned(), tag.to_owned(), digest.to_owned()));
        Ok(())
    }

    /// Tokens are for the registry at `location` from now on: something before the front.
    pub fn name_registry(&self, location: &str) {
        location.clone_into(&mut lock(&self.account).named);
    }

    /// How a repository was created; nothing if it was not.
    #[must_use]
    pub fn settings(&self, repository: &str) -> Option<Settings> {
        lock(&self.account).repositories.settings(repository).cloned()
    }

    /// Creates a repository, as someone else might.
    pub fn create(&self, repository: &str, settings: Settings) {
        let _ = lock(&self.account).repositories.create(repository, settings);
    }

    /// All tokens given so far expire once so many more bytes of blobs were sent; they are refused with `status` then.
    pub fn expire_tokens_after(&self, bytes: usize, status: u16) {
        lock(&self.account).expire = Some((bytes, status));
    }

    /// The next `count` requests of the registry are throttled.
    pub fn throttle_registry(&self, count: u32) {
        lock(&self.account).throttle_registry = count;
    }

    /// All tokens given so far are refused from now on.
    pub fn expire_tokens(&self) {
        lock(&self.account).lifetime = Some(Duration::ZERO);
    }

    /// The next tokens are good again.
    pub fn renew_tokens(&self) {
        lock(&self.account).lifetime = None;
    }

    /// Tokens are good, but say that they expired long ago, as from a server whose clock is wrong.
    pub fn state_expiry_in_the_past(&self) {
        lock(&self.account).stated_in_the_past = true;
    }

    /// The next `count` requests of the control plane are throttled.
    pub fn throttle(&self, count: u32) {
        lock(&self.account).throttle = count;
    }

    /// How many tokens were given.
    #[must_use]
    pub fn tokens_given(&self) -> u32 {
        lock(&self.account).tokens_given
    }

    /// How many pages of images were given.
    #[must_use]
    pub fn pages_given(&self) -> u32 {
        lock(&self.account).pages
    }

    /// The registry that the tokens are for.
    #[must_use]
    pub const fn front(&self) -> &Front {
        &self.front
    }
}

pub(crate) fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
