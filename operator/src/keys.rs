//! The keys of router, workers and operator. They are generated once and kept in a Secret that the router mounts. A second
//! Secret in the workers' namespace has only what workers need, so that nothing there can read the router's secret key.

mod contents;
mod controller;

use std::str::FromStr;

pub use contents::{KeyError, KeyPolicy, SecretContents, SecretData, desired_contents};
pub use controller::maintain;

/// Key of the worker's key pair in its Secret; the public key is its first line.
pub const WORKER_KEY: &str = "worker.key";
/// Key of the router's public key in the worker's Secret.
pub const ROUTER_PUBLIC_KEY: &str = "router.pub";

/// The namespace and name of a Secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretRef {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
}

/// Which Secrets to maintain, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySecrets {
    /// The Secret for all keys.
    pub keys: SecretRef,
    /// The Secret for what workers need.
    pub worker: SecretRef,
    /// How to fill them.
    pub policy: KeyPolicy,
}

impl FromStr for SecretRef {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('/') {
            Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() => {
                Ok(Self { namespace: namespace.to_owned(), name: name.to_owned() })
            }
            _ => Err("a Secret is given as NAMESPACE/NAME"),
        }
    }
}
