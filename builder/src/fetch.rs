//! Fetches a commit from any git URL: resolves the reference, fetches the commit and writes its files.
//!
//! Everything in a repository is untrusted. Its hooks, filters, submodules and configuration are never used, and readers of
//! the written files must not follow links in them.

mod checkout;
mod error;
mod git;
pub(crate) mod listing;
mod options;
mod reference;
mod repositories;
mod times;
mod url;

pub use checkout::Checkout;
pub use error::FetchError;
pub use listing::{ReferenceKind, ResolvedCommit};
pub use options::FetchOptions;
pub use reference::{Commit, GitReference};
pub use repositories::Repositories;
pub use url::RepositoryUrl;
