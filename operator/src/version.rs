//! ContainerVersions: how many workers have each, and why others have it not. The router deploys them.

pub mod controller;
mod status;
