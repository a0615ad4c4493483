//! The deployed versions: which, where they are kept, and what their tags name.

mod catalogue;
mod deployed;
mod pin;
mod store;
mod yaml;

pub use catalogue::Catalogue;
pub use deployed::{Deployed, PlaceRef};
pub use pin::pin_versions;
pub use store::{Error, VersionStore};
pub use yaml::YamlStore;
