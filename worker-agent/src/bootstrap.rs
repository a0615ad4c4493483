//! A worker's first question: where is the workers' port?

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use trackyard_protocol::channel::Topic;
use trackyard_protocol::client::{self, Client};
use trackyard_protocol::token::Epoch;

use crate::args::RouterUrl;
use crate::socket::{Curve, Peer};

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
    /// The worker's own key cannot be read.
    #[error("cannot use the CURVE key in {}: {why}; write the public and the secret key into it, each 40 characters of Z85", file.display())]
    Key {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        why: String,
    },
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
pub fn bootstrap(
    url: &RouterUrl,
    workers: Option<&str>,
    key_file: Option<&Path>,
) -> Result<Bootstrap, Error> {
    if let Some(address) = workers {
        return Ok(Bootstrap { peer: Peer { address: address.to_owned(), curve: None }, epoch: None });
    }
    let topics: Vec<String> = url.topics.iter().map(Topic::to_string).filter(|topic| topic != "*").collect();
    let request = serde_json::json!({"action": "configure_worker", "channel": url.channel, "topics": topics});
    let answer = Client::connect(&url.client_address())?.request(&request, PATIENCE)?;
    if !answer.status.ok {
        return Err(Error::Refused { code: answer.status.status_code, message: answer.status.message });
    }
    read(url, answer.response, key_file)
}

fn read(url: &RouterUrl, response: serde_json::Value, key_file: Option<&Path>) -> Result<Bootstrap, Error> {
    let response: Response =
        serde_json::from_value(response).map_err(|error| Error::Malformed(error.to_string()))?;
    // The router does not know by which name it is reached; this worker does.
    let address = url.address(response.workers_port);
    let curve = response.server_key.map(|key| curve(&key, key_file)).transpose()?;
    Ok(Bootstrap { peer: Peer { address, curve }, epoch: response.epoch })
}

fn curve(server: &str, key_file: Option<&Path>) -> Result<Curve, Error> {
    let server =
        decode(server).ok_or_else(|| Error::Malformed("server_key is not a CURVE key".to_owned()))?;
    let Some(file) = key_file else {
        let pair =
            zmq::CurveKeyPair::new().map_err(|error| Error::Malformed(format!("no CURVE here: {error}")))?;
        return Ok(Curve { server, secret: pair.secret_key, public: pair.public_key });
    };
    let refused = |why: String| Error::Key { file: file.to_owned(), why };
    let text = std::fs::read_to_string(file).map_err(|error| refused(error.to_string()))?;
    let mut keys = text.split_whitespace().map(decode);
    match (keys.next().flatten(), keys.next().flatten(), keys.next()) {
        (Some(public), Some(secret), None) => Ok(Curve { server, secret, public }),
        _ => Err(refused("it does not hold two keys".to_owned())),
    }
}

/// A key in Z85. libzmq takes other characters for zeros, so they are looked for here.
fn decode(text: &str) -> Option<[u8; 32]> {
    let is_z85 = |b: u8| b.is_ascii_alphanumeric() || b".-:+=^!/*?&<>()[]{}@%$#".contains(&b);
    let plain = text.len() == 40 && text.bytes().all(is_z85);
    zmq::z85_decode(text).ok().filter(|_| plain)?.try_into().ok()
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
        let bootstrap = read(&url(), answer, None).unwrap();
        assert_eq!(bootstrap.peer, Peer { address: "tcp://router.yard:7000".to_owned(), curve: None });
        assert_eq!(bootstrap.epoch, Some(Epoch(10)));
    }

    #[test]
    fn a_named_address_asks_nobody() {
        let bootstrap = bootstrap(&url(), Some("tcp://10.0.0.1:1"), None).unwrap();
        assert_eq!(bootstrap.peer.address, "tcp://10.0.0.1:1");
    }

    #[rstest]
    #[case(json!(null))]
    #[case(json!({}))]
    #[case(json!({"workers_port": 70000}))]
    #[case(json!({"workers_port": 7000, "server_key": "short"}))]
    #[case(json!({"workers_port": 7000, "epoch": "later"}))]
    fn unusable_answers_are_errors(#[case] answer: Value) {
        assert!(matches!(read(&url(), answer, None), Err(Error::Malformed(_))));
    }

    #[test]
    fn a_key_file_holds_both_keys() {
        let server = "x".repeat(40);
        let (public, secret) = ("a".repeat(40), "b".repeat(40));
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), format!("{public}\n{secret}\n")).unwrap();
        let keys = curve(&server, Some(file.path())).unwrap();
        assert_eq!(zmq::z85_encode(&keys.secret).unwrap(), secret);
        assert_eq!(format!("{keys:?}"), "Curve(keys not shown)");
        for bad in [secret.clone(), "~".repeat(40), String::new()] {
            std::fs::write(file.path(), format!("{public}\n{bad}\n{bad}")).unwrap();
            assert!(matches!(curve(&server, Some(file.path())), Err(Error::Key { .. })));
        }
        assert!(curve(&server, None).is_ok());
    }
}
