//! Router URLs, `tcp://host:5555/<channel>?topic=<track>`: the address of the router, and the work of the worker.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use trackyard_protocol::channel::{Channel, Topic, Topics};

/// A router URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouterUrl {
    /// The router's host: a name, an address, or an address in brackets.
    pub host: String,
    /// The router's client port.
    pub port: u16,
    /// The worker's channel.
    pub channel: Channel,
    /// The tracks that the worker is scoped to.
    pub topics: Topics,
}

/// Why a router URL is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{url:?} is not a router URL: {why}; write tcp://HOST:PORT/CHANNEL or tcp://HOST:PORT/CHANNEL?topic=TRACK"
)]
pub struct RouterUrlError {
    url: String,
    why: String,
}

impl RouterUrl {
    /// Returns the address of the client port, for libzmq.
    #[must_use]
    pub fn client_address(&self) -> String {
        self.address(self.port)
    }

    /// Returns the address of another port of the same host.
    #[must_use]
    pub fn address(&self, port: u16) -> String {
        format!("tcp://{}:{port}", self.host)
    }
}

/// Returns whether `host` can only be this machine.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    bare == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Returns the host of `tcp://host:port`.
#[must_use]
pub fn host_of(address: &str) -> Option<&str> {
    address.strip_prefix("tcp://")?.rsplit_once(':').map(|(host, _)| host)
}

impl FromStr for RouterUrl {
    type Err = RouterUrlError;
    fn from_str(url: &str) -> Result<Self, RouterUrlError> {
        parse(url).map_err(|why| RouterUrlError { url: url.chars().take(200).collect(), why })
    }
}

impl fmt::Display for RouterUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.client_address(), self.channel)?;
        if self.topics.is_generic() {
            return Ok(());
        }
        let topics: Vec<String> = self.topics.iter().map(Topic::to_string).collect();
        write!(f, "?topic={}", topics.join(","))
    }
}

fn parse(url: &str) -> Result<RouterUrl, String> {
    let rest = url.strip_prefix("tcp://").ok_or("it does not start with tcp://")?;
    let (authority, path) = rest.split_once('/').ok_or("the channel is missing")?;
    let (host, port) = authority.rsplit_once(':').ok_or("the port is missing")?;
    let (channel, query) = path.split_once('?').map_or((path, None), |(c, q)| (c, Some(q)));
    let channel = channel
        .trim_end_matches('/')
        .parse()
        .map_err(|_| "the channel is not one of test_runners, static_analyzers, representers, builders")?;
    Ok(RouterUrl { host: checked_host(host)?, port: checked_port(port)?, channel, topics: topics(query)? })
}

fn checked_host(host: &str) -> Result<String, String> {
    let v6 = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let valid = match v6 {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.'),
    };
    valid.then(|| host.to_owned()).ok_or_else(|| "the host is not valid".to_owned())
}

fn checked_port(port: &str) -> Result<u16, String> {
    port.parse().ok().filter(|port| *port > 0).ok_or_else(|| "the port is not one of 1 to 65535".to_owned())
}

fn topics(query: Option<&str>) -> Result<Topics, String> {
    let mut topics = BTreeSet::new();
    for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let value = pair.strip_prefix("topic=").ok_or("the only parameter is topic")?;
        for topic in value.split(',') {
            topics.insert(topic.parse::<Topic>().map_err(|error| error.to_string())?);
        }
    }
    Ok(topics.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("tcp://127.0.0.1:5555/test_runners", "*")]
    #[case("tcp://127.0.0.1:5555/test_runners/", "*")]
    #[case("tcp://router.example:5555/representers?topic=ruby", "ruby")]
    #[case("tcp://router:5555/static_analyzers?topic=ruby&topic=csharp,elixir", "csharp ruby elixir")]
    #[case("tcp://[::1]:5555/builders?topic=*", "*")]
    #[case("tcp://[::1]:5555/builders?", "*")]
    fn good_urls(#[case] url: &str, #[case] topics: &str) {
        let parsed: RouterUrl = url.parse().unwrap();
        let expected: BTreeSet<Topic> = topics.split(' ').map(|t| t.parse().unwrap()).collect();
        assert_eq!(parsed.topics, Topics::from(expected));
        assert_eq!(parsed.to_string().parse::<RouterUrl>().unwrap(), parsed);
    }

    #[rstest]
    #[case("http://router:5555/test_runners", "tcp://")]
    #[case("tcp://router:5555", "channel is missing")]
    #[case("tcp://router/test_runners", "port is missing")]
    #[case("tcp://router:0/test_runners", "1 to 65535")]
    #[case("tcp://router:5555/tests", "test_runners")]
    #[case("tcp://:5555/test_runners", "host")]
    #[case("tcp://a;b:5555/test_runners", "host")]
    #[case("tcp://[zz]:5555/test_runners", "host")]
    #[case("tcp://router:5555/test_runners?topic=", "track")]
    #[case("tcp://router:5555/test_runners?topic=../x", "track")]
    #[case("tcp://router:5555/test_runners?track=ruby", "only parameter")]
    fn bad_urls(#[case] url: &str, #[case] part: &str) {
        let error = url.parse::<RouterUrl>().unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }

    #[rstest]
    #[case("127.0.0.1", true)]
    #[case("127.8.8.8", true)]
    #[case("localhost", true)]
    #[case("[::1]", true)]
    #[case("10.0.0.1", false)]
    #[case("localhost.example", false)]
    #[case("127.0.0.1.example", false)]
    #[case("0.0.0.0", false)]
    fn loopback(#[case] host: &str, #[case] expected: bool) {
        assert_eq!(is_loopback(host), expected);
    }

    #[test]
    fn host_of_address() {
        assert_eq!(host_of("tcp://[::1]:5556"), Some("[::1]"));
        assert_eq!(host_of("ipc://x"), None);
    }
}
