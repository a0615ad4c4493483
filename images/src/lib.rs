//! Tooling images where they live: an OCI layout folder, an OCI registry, or ECR. Resolves a container version to a
//! digest, lists what there is, and pulls by digest with every byte checked.
//!
//! - what a caller uses: [`Images`], [`Options`], [`Error`], [`Image`]
//! - one file per kind of place: `layout`, `registry`, `ecr`
//! - what is believed of an answer: `document` (manifest, index), `image` (manifest and configuration together),
//!   `blob` (size and digest while streaming)

mod blob;
mod docker_config;
mod document;
mod ecr;
mod error;
mod image;
mod images;
mod layout;
mod options;
mod registry;
mod repository;
mod source;

pub use blob::Blob;
pub use error::Error;
pub use image::{Compression, Image, Layer};
pub use images::Images;
pub use options::Options;
