//! A ZeroMQ endpoint to bind.

use std::fmt;
use std::str::FromStr;

/// `tcp://<address>:<port>`: an address of this machine or `*` for all, a port or `*` for a free one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    host: String,
    port: Option<u16>,
}

/// Why a text is no endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an endpoint: write tcp://<IP address or *>:<port or *>")]
pub struct Error(String);

impl Endpoint {
    /// True if only this machine can connect.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        let plain = self.host.trim_start_matches('[').trim_end_matches(']');
        plain.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// The port; `None` for a free one.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.port
    }
}

impl FromStr for Endpoint {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        let refused = || Error(text.chars().take(80).collect());
        let (host, port) =
            text.strip_prefix("tcp://").and_then(|r| r.rsplit_once(':')).ok_or_else(refused)?;
        let inner = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let valid = match inner {
            Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
            None => host == "*" || host.parse::<std::net::Ipv4Addr>().is_ok(),
        };
        let port = match port {
            "*" | "0" => None,
            number => Some(number.parse().map_err(|_| refused())?),
        };
        if valid { Ok(Self { host: host.to_owned(), port }) } else { Err(refused()) }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, "tcp://{}:{port}", self.host),
            None => write!(f, "tcp://{}:*", self.host),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("tcp://127.0.0.1:5555", Some(true))]
    #[case("tcp://127.0.0.1:*", Some(true))]
    #[case("tcp://[::1]:5555", Some(true))]
    #[case("tcp://0.0.0.0:5555", Some(false))]
    #[case("tcp://*:5555", Some(false))]
    #[case("tcp://router:5555", None)]
    #[case("127.0.0.1:5555", None)]
    #[case("tcp://127.0.0.1", None)]
    #[case("tcp://127.0.0.1:70000", None)]
    #[case("tcp://127.0.0.1\0:1", None)]
    fn endpoints(#[case] text: &str, #[case] loopback: Option<bool>) {
        let endpoint = text.parse::<Endpoint>();
        assert_eq!(endpoint.as_ref().ok().map(Endpoint::is_loopback), loopback);
        assert!(endpoint.is_err() || endpoint.unwrap().to_string() == text);
    }
}
