//! The bootstrap request: a worker asks the router's client port where the workers' port is.

use std::time::Duration;

use serde::Deserialize;
use trackyard_protocol::channel::Topic;
use trackyard_protocol::client::{self, Client};
use trackyard_protocol::keys::{self, Curve, KeyPair, PublicKey};
use trackyard_protocol::token::Epoch;

use crate::args::{KeyFiles, RouterUrl};
use crate::socket::RouterEndpoint;

/// Timeout of the router's answer.
const BOOTSTRAP_TIMEOUT: Duration = Duration::from_secs(5);

/// The router's answer: what a worker needs before it can send `Hello`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bootstrap {
    /// The address and key of the workers' port.
    pub endpoint: RouterEndpoint,
    /// The start of the router that answered.
    pub epoch: Option<Epoch>,
}

/// Why there is no usable answer.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// The router does not answer.
    #[error("cannot ask the router for the workers' port: {0}")]
    Ask(#[from] client::Error),
    /// The router refuses the request.
    #[error("the router refuses configure_worker with {code}: {message}")]
    Refused {
        /// The status code.
        code: u16,
        /// The message.
        message: String,
    },
    /// The answer is malformed.
    #[error("the router's answer to configure_worker is not usable: {0}")]
    Malformed(String),
    /// A key file cannot be used.
    #[error(transparent)]
    Keys(#[from] keys::Error),
    /// The router reports another key than the pinned one.
    #[error(
        "the router says that its key is {reported}, but --router-key names another; is this the router?"
    )]
    OtherKey {
        /// The reported key.
        reported: PublicKey,
    },
    /// The router reports no key, but this worker expects one.
    #[error("the router says that it has no key, but this worker has one (--curve-key or --router-key)")]
    NoKey,
}

/// The part of the answer that a worker needs. Everything else comes with `Welcome`.
#[derive(Debug, Deserialize)]
struct Response {
    workers_port: u16,
    #[serde(default)]
    server_key: Option<String>,
    #[serde(default)]
    epoch: Option<Epoch>,
}

/// Asks the router's client port once. If the command line has the workers' address, `workers`, the router is not
/// asked.
///
/// # Errors
/// If there is no usable answer, or a key file cannot be used.
pub fn bootstrap(
    url: &RouterUrl,
    workers: Option<&str>,
    keys: &KeyFiles,
) -> Result<Bootstrap, BootstrapError> {
    if let Some(address) = workers {
        let pinned = keys.router_key.as_deref().map(PublicKey::read).transpose()?;
        let curve = curve(pinned.as_ref().map(PublicKey::as_str), keys)?;
        return Ok(Bootstrap {
            endpoint: RouterEndpoint { address: address.to_owned(), curve },
            epoch: None,
        });
    }
    let topics: Vec<String> = url.topics.iter().map(Topic::to_string).filter(|topic| topic != "*").collect();
    let request = serde_json::json!({"action": "configure_worker", "channel": url.channel, "topics": topics});
    let answer = Client::connect(&url.client_address())?.request(&request, BOOTSTRAP_TIMEOUT)?;
    if !answer.status.ok {
        return Err(BootstrapError::Refused {
            code: answer.status.status_code,
            message: answer.status.message,
        });
    }
    read(url, answer.response, keys)
}

fn read(url: &RouterUrl, response: serde_json::Value, keys: &KeyFiles) -> Result<Bootstrap, BootstrapError> {
    let response: Response =
        serde_json::from_value(response).map_err(|error| BootstrapError::Malformed(error.to_string()))?;
    // Only the worker knows the name by which it reaches the router.
    let address = url.address(response.workers_port);
    let curve = curve(response.server_key.as_deref(), keys)?;
    Ok(Bootstrap { endpoint: RouterEndpoint { address, curve }, epoch: response.epoch })
}

/// Returns the keys of the connection. `reported` is the key that the router reports.
fn curve(reported: Option<&str>, keys: &KeyFiles) -> Result<Option<Curve>, BootstrapError> {
    let pinned = keys.router_key.as_deref().map(PublicKey::read).transpose()?;
    let reported = reported.map(str::parse).transpose();
    let reported =
        reported.map_err(|_| BootstrapError::Malformed("server_key is not a CURVE key".to_owned()))?;
    let router = match (pinned, reported) {
        (Some(pinned), Some(reported)) if pinned != reported => {
            return Err(BootstrapError::OtherKey { reported });
        }
        (_, Some(reported)) => reported,
        (None, None) if keys.curve_key.is_none() => return Ok(None),
        (_, None) => return Err(BootstrapError::NoKey),
    };
    let own = keys.curve_key.as_deref().map_or_else(KeyPair::generate, KeyPair::read)?;
    Ok(Some(Curve { router, own }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::{Value, json};

    fn url() -> RouterUrl {
        "tcp://router.example:5555/test_runners".parse().unwrap()
    }

    #[test]
    fn port_is_joined_to_the_dialled_host() {
        let answer =
            json!({"workers_port": 7000, "server_key": null, "desired": [], "epoch": "000000000000000a"});
        let bootstrap = read(&url(), answer, &KeyFiles::default()).unwrap();
        assert_eq!(
            bootstrap.endpoint,
            RouterEndpoint { address: "tcp://router.example:7000".to_owned(), curve: None }
        );
        assert_eq!(bootstrap.epoch, Some(Epoch(10)));
    }

    #[test]
    fn named_address_needs_no_request() {
        let bootstrap = bootstrap(&url(), Some("tcp://10.0.0.1:1"), &KeyFiles::default()).unwrap();
        assert_eq!(bootstrap.endpoint.address, "tcp://10.0.0.1:1");
    }

    #[rstest]
    #[case(json!(null))]
    #[case(json!({}))]
    #[case(json!({"workers_port": 70000}))]
    #[case(json!({"workers_port": 7000, "server_key": "short"}))]
    #[case(json!({"workers_port": 7000, "epoch": "later"}))]
    fn unusable_answers_are_errors(#[case] answer: Value) {
        assert!(matches!(read(&url(), answer, &KeyFiles::default()), Err(BootstrapError::Malformed(_))));
    }

    /// Writes the worker's key pair and the router's public key to files.
    fn files() -> (tempfile::TempDir, KeyFiles, KeyPair) {
        let dir = tempfile::tempdir().unwrap();
        let path = |name| dir.path().join(name);
        let router = KeyPair::generate().unwrap();
        KeyPair::generate().unwrap().write(&path("own")).unwrap();
        std::fs::write(path("router"), router.public().as_str()).unwrap();
        let files = KeyFiles { curve_key: Some(path("own")), router_key: Some(path("router")) };
        (dir, files, router)
    }

    #[test]
    fn reported_key_must_be_the_pinned_one() {
        let (_dir, files, router) = files();
        let reported = Some(router.public().as_str());
        let other = KeyPair::generate().unwrap();
        let none = KeyFiles::default();
        assert_eq!(curve(reported, &files).unwrap().unwrap().router, *router.public());
        assert!(curve(reported, &none).unwrap().is_some());
        assert!(curve(None, &none).unwrap().is_none());
        let stranger = curve(Some(other.public().as_str()), &files);
        assert!(matches!(stranger, Err(BootstrapError::OtherKey { .. })));
        assert!(matches!(curve(None, &files), Err(BootstrapError::NoKey)));
        let only_own = KeyFiles { router_key: None, ..files };
        assert!(matches!(curve(None, &only_own), Err(BootstrapError::NoKey)));
    }

    #[test]
    fn named_address_has_the_pinned_key() {
        let (_dir, files, router) = files();
        let endpoint = bootstrap(&url(), Some("tcp://10.0.0.1:1"), &files).unwrap().endpoint;
        assert_eq!(endpoint.curve.unwrap().router, *router.public());
    }
}
