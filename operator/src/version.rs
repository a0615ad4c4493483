//! ContainerVersions: those that name a git reference are built; how many workers have each, and why others have it not.
//! The router deploys them.

mod built;
pub mod controller;
mod status;
