//! ECR for tests: the control plane in this process, the data from a docker-registry behind a front that takes ECR's
//! tokens and sends everyone who wants a blob to another host, which refuses an `Authorization` header.

mod control;
mod front;
mod serving;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};

pub use front::{Front, Seen};
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
    pages: u32,
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
        let of_front = Arc::clone(&account);
        let accepts = move |user: &str, password: &str| user == "AWS" && lock(&of_front).takes(password);
        let front = Front::start(registry, accepts);
        let named = format!("http://{}", front.location());
        let control = Serving::start(control::service(Arc::clone(&account), named));
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
