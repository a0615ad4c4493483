//! From a git reference to an image in an OCI layout: what a `builders` worker does before the smoke check and the
//! release, which are not here: a driver is never given a credential of the registry that images are released to.
//!
//! - [`fetch`]: a repository's commit, from any git URL
//! - [`driver`]: img, BuildKit or buildah, behind one trait
//! - [`size`]: what a directory takes
//! - [`confine`]: a build's processes, in a cgroup and a pid namespace of their own

pub mod confine;
pub mod driver;
pub mod fetch;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod size;
