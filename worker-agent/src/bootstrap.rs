//! A worker's first question: where is the workers' port?

use std::time::Duration;

use serde::Deserialize;
use trackyard_protocol::channel::Topic;
use trackyard_protocol::client::{self, Client};
use trackyard_protocol::keys::{self, Curve, KeyPair, PublicKey};
use trackyard_protocol::token::Epoch;

use crate::args::{KeyFiles, RouterUrl};
use crate::socket::Peer;

/// How long the router may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a worker needs before it can say `Hello`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bootstrap {
    /// The workers' port.
    pub peer: Peer,
    /// The start of the router that answered.
    pub epoch: Option<Epoch>,
}

/// Why a worker does not know where to go.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no answer.
    #[error("cannot ask the router for the workers' port: {0}")]
    Ask(#[from] client::Error),
    /// The router refuses.
    #[error("the router refuses configure_worker with {code}: {message}")]
    Refused {
        /// The status code.
        code: u16,
        /// Its message.
        message: String,
    },
    /// The answer cannot be used.
    #[error("the router's answer to configure_worker is not usable: {0}")]
    Malformed(String),
    /// A key cannot be used.
    #[error(transparent)]
    Keys(#[from] keys::Error),
    /// Somebody else answers for the router.
    #[error("the router says that its key is {told}, but --router-key names another; is this the router?")]
    OtherKey {
        /// What it says.
        told: PublicKey,
    },
    /// This worker would talk to a router that anybody can read.
    #[error("the router says that it has no key, but this worker has one (--curve-key or --router-key)")]
    NoKey,
}

/// The part of the answer that a worker needs; everything else comes with `Welcome`.
#[derive(Debug, Deserialize)]
struct Response {
    workers_port: u16,
    #[serde(default)]
    server_key: Option<String>,
    #[serde(default)]
    epoch: Option<Epoch>,
}

/// Asks the router's client port, once. `workers` is the workers' address, where the command line names it: then
/// nobody is asked.
///
/// # Errors
/// When there is no usable answer, or the worker's key file is not one.
pub fn bootstrap(url: &RouterUrl, workers: Option<&str>, keys: &KeyFiles) -> Result<Bootstrap, Error> {
    if let Some(address) = workers {
        let pinned = keys.router_key.as_deref().map(PublicKey::read).transpose()?;
        let curve = curve(pinned.as_ref().map(PublicKey::as_str), keys)?;
        return Ok(Bootstrap { peer: Peer { address: address.to_owned(), curve }, epoch: None });
    }
    let topics: Vec<String> = url.topics.iter().map(Topic::to_string).filter(|topic| topic != "*").collect();
    let request = serde_json::json!({"action": "configure_worker", "channel": url.channel, "topics": topics});
    let answer = Client::connect(&url.client_address())?.request(&request, PATIENCE)?;
    if !answer.status.ok {
        return Err(Error::Refused { code: answer.status.status_code, message: answer.status.message });
    }
    read(url, answer.response, keys)
}

fn read(url: &RouterUrl, response: serde_json::Value, keys: &KeyFiles) -> Result<Bootstrap, Error> {
    let response: Response =
        serde_json::from_value(response).map_err(|error| Error::Malformed(error.to_string()))?;
    // The router does not know by which name it is reached; this worker does.
    let address = url.address(response.workers_port);
    let curve = curve(response.server_key.as_deref(), keys)?;
    Ok(Bootstrap { peer: Peer { address, curve }, epoch: response.epoch })
}

/// The keys of the connection. `told` is what the router says its key is.
fn curve(told: Option<&str>, keys: &KeyFiles) -> Result<Option<Curve>, Error> {
    let pinned = keys.router_key.as_deref().map(PublicKey::read).transpose()?;
    let malformed = |_| Error::Malformed("server_key is not a CURVE key".to_owned());
    let told = told.map(|key| key.parse().map_err(malformed)).transpose()?;
    let router = match (pinned, told) {
        (Some(pinned), Some(told)) if pinned != told => return Err(Error::OtherKey { told }),
        (_, Some(told)) => told,
        (None, None) if keys.curve_key.is_none() => return Ok(None),
        (_, None) => return Err(Error::NoKey),
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
        "tcp://router.yard:5555/test_runners".parse().unwrap()
    }

    #[test]
    fn the_port_is_joined_to_the_host_that_was_dialled() {
        let answer =
            json!({"workers_port": 7000, "server_key": null, "desired": [], "epoch": "000000000000000a"});
        let bootstrap = read(&url(), answer, &KeyFiles::default()).unwrap();
        assert_eq!(bootstrap.peer, Peer { address: "tcp://router.yard:7000".to_owned(), curve: None });
        assert_eq!(bootstrap.epoch, Some(Epoch(10)));
    }

    #[test]
    fn a_named_address_asks_nobody() {
        let bootstrap = bootstrap(&url(), Some("tcp://10.0.0.1:1"), &KeyFiles::default()).unwrap();
        assert_eq!(bootstrap.peer.address, "tcp://10.0.0.1:1");
    }

    #[rstest]
    #[case(json!(null))]
    #[case(json!({}))]
    #[case(json!({"workers_port": 70000}))]
    #[case(json!({"workers_port": 7000, "server_key": "short"}))]
    #[case(json!({"workers_port": 7000, "epoch": "later"}))]
    fn unusable_answers_are_errors(#[case] answer: Value) {
        assert!(matches!(read(&url(), answer, &KeyFiles::default()), Err(Error::Malformed(_))));
    }

    /// Files of a worker's own keys, and of the router's public one.
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
    fn a_router_with_a_key_is_believed_unless_another_is_pinned() {
        let (_dir, files, router) = files();
        let told = Some(router.public().as_str());
        let other = KeyPair::generate().unwrap();
        let none = KeyFiles::default();
        assert_eq!(curve(told, &files).unwrap().unwrap().router, *router.public());
        assert!(curve(told, &none).unwrap().is_some());
        assert!(curve(None, &none).unwrap().is_none());
        let stranger = curve(Some(other.public().as_str()), &files);
        assert!(matches!(stranger, Err(Error::OtherKey { .. })));
        assert!(matches!(curve(None, &files), Err(Error::NoKey)));
        let only_own = KeyFiles { router_key: None, ..files };
        assert!(matches!(curve(None, &only_own), Err(Error::NoKey)));
    }

    #[test]
    fn a_named_address_has_the_pinned_key() {
        let (_dir, files, router) = files();
        let peer = bootstrap(&url(), Some("tcp://10.0.0.1:1"), &files).unwrap().peer;
        assert_eq!(peer.curve.unwrap().router, *router.public());
    }
}
