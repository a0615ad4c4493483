//! ZeroMQ endpoints to bind.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// An endpoint `tcp://<address>:<port>`: an address of this machine or `*` for all; a port or `*` for a free one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// `None` for all addresses.
    host: Option<IpAddr>,
    port: Option<u16>,
}

/// The error for a text that is not an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an endpoint: write tcp://<IP address or *>:<port or *>")]
pub struct EndpointError(String);

impl Endpoint {
    /// Returns true if only this machine can connect.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.host.is_some_and(|address| address.is_loopback())
    }

    /// Returns the port; `None` for a free one.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Returns the address to bind; its port is 0 for a free one.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        (self.host.unwrap_or(Ipv4Addr::UNSPECIFIED.into()), self.port.unwrap_or(0)).into()
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        Self { host: Some(address.ip()), port: Some(address.port()) }
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;
    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let error = || EndpointError(text.chars().take(80).collect());
        let (host, port) = text.strip_prefix("tcp://").and_then(|r| r.rsplit_once(':')).ok_or_else(error)?;
        let inner = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let host = match inner {
            Some(v6) => Some(v6.parse::<Ipv6Addr>().map_err(|_| error())?.into()),
            None if host == "*" => None,
            None => Some(host.parse::<Ipv4Addr>().map_err(|_| error())?.into()),
        };
        let port = match port {
            "*" | "0" => None,
            number => Some(number.parse().map_err(|_| error())?),
        };
        Ok(Self { host, port })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host {
            Some(IpAddr::V4(v4)) => write!(f, "tcp://{v4}:")?,
            Some(IpAddr::V6(v6)) => write!(f, "tcp://[{v6}]:")?,
            None => f.write_str("tcp://*:")?,
        }
        match self.port {
            Some(port) => port.fmt(f),
            None => f.write_str("*"),
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
    fn endpoint_is_parsed(#[case] text: &str, #[case] loopback: Option<bool>) {
        let endpoint = text.parse::<Endpoint>();
        assert_eq!(endpoint.as_ref().ok().map(Endpoint::is_loopback), loopback);
        assert!(endpoint.is_err() || endpoint.unwrap().to_string() == text);
    }
}
