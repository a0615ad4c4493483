//! Tooling images where they live: an OCI layout directory, an OCI registry, or ECR. Resolves a container version to a
//! digest, lists what there is, pulls by digest with every byte checked, and releases what was built.
//!
//! - what a caller uses: [`Images`], [`Options`], [`Error`], [`Image`]
//! - a release: `release` (the order of things), `registry::push`, `ecr::push`, `layout::push` (the places)
//! - one file per kind of place: `layout`, `registry`, `ecr`
//! - what is believed of an answer: `document` (manifest, index), `image` (manifest and configuration together),
//!   `blob` (size and digest while streaming)

mod blob;
mod docker_config;
mod document;
mod ecr;
mod error;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod image;
mod images;
mod layout;
mod options;
mod registry;
mod release;
mod repository;
mod source;
mod tag;

pub use blob::Blob;
pub use error::Error;
pub use image::{Compression, Image, Layer};
pub use images::Images;
pub use options::Options;
pub use release::{Progress, ReleaseError, ReleaseTags, Released, Watch, built_digest};
