//! ContainerVersions: builds those that name a git reference, and reports how many workers have each version and why others
//! do not. The router deploys them.

mod build;
pub mod controller;
mod status;
