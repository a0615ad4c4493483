//! A repository's commit, from any git URL: resolved, fetched and written out as plain files.
//!
//! Everything in a repository is hostile. No hook, filter, submodule or configuration of it is ever used, and links in
//! the files that were written must not be followed by whoever reads them.

mod checkout;
mod error;
mod git;
pub(crate) mod listing;
mod reference;
mod repositories;
mod times;
mod url;

pub use checkout::Checkout;
pub use error::Error;
pub use listing::{Kind, Resolved};
pub use reference::{Commit, GitReference};
pub use repositories::{Options, Repositories};
pub use url::RepositoryUrl;
