//! Builds an image in an OCI layout from a git reference. Smoke check and release are not part of this crate, so that no
//! driver ever gets a credential of the registry that images are released to.
//!
//! - [`fetch`]: a repository's commit, from any git URL
//! - [`driver`]: img, BuildKit or buildah, behind one trait
//! - [`size`]: the disk usage of a directory
//! - [`confine`]: a build's processes, in a cgroup and namespaces of their own

pub mod confine;
pub mod driver;
pub mod fetch;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod size;
