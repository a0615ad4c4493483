//! Where the deployed versions are kept, and which digests their tags name.

mod catalogue;
mod pin;
mod store;
mod yaml;

pub use catalogue::Catalogue;
pub use pin::pin_versions;
pub use store::{StoreError, VersionStore};
pub use yaml::YamlStore;
