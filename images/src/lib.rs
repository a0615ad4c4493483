//! Tooling images in an OCI layout directory, an OCI registry or ECR. Resolves a container version to a digest, lists
//! tags, pulls by digest with every byte checked, and releases built images.
//!
//! - what a caller uses: [`Images`], [`ImageOptions`], [`ImageError`], [`Image`]
//! - pulling: `source`, with one module per kind of image source: `layout`, `registry`, `ecr`
//! - releasing: `release`, with one module per kind of target: `to_layout`, `to_registry`, `to_ecr`
//! - checks of untrusted answers: `document` (manifest, index), `image` (manifest and configuration together), `blob`
//!   (size and digest while streaming)

mod blob;
mod docker_config;
mod document;
mod error;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod image;
mod images;
mod options;
mod release;
mod repository;
mod source;
mod tag;

pub use blob::Blob;
pub use error::ImageError;
pub use image::{Compression, Image, Layer};
pub use images::Images;
pub use options::ImageOptions;
pub use release::{ReleaseControl, ReleaseError, ReleaseOutcome, ReleaseProgress, ReleaseTags, built_digest};
