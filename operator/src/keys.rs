//! The keys of router, workers and operator: made once, and kept in a Secret that the router mounts. What workers need of
//! them is in a second one, in their own namespace, so that nothing there knows the router's secret key.

mod fill;
mod keep;

use std::str::FromStr;

pub use fill::{Error, Files, Filled, Rules, fill};
pub use keep::keep;

/// The worker's keys in its Secret, the public one first.
pub const OWN_KEY: &str = "worker.key";
/// The router's public key in the worker's Secret.
pub const ROUTER_KEY: &str = "router.pub";

/// A Secret's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// Which Secrets, and what is in them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// For all keys.
    pub keys: Place,
    /// For what workers need.
    pub worker: Place,
    /// What is in them.
    pub rules: Rules,
}

impl FromStr for Place {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('/') {
            Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() => {
                Ok(Self { namespace: namespace.to_owned(), name: name.to_owned() })
            }
            _ => Err("a Secret's place is NAMESPACE/NAME"),
        }
    }
}
