//! A registry's address and the rules for requests and redirects.

use std::net::IpAddr;

use reqwest::Url;

use crate::error::ImageError;

/// A registry's address. Plain HTTP is used only on loopback.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    base: Url,
    host: String,
}

impl Endpoint {
    /// Parses `host[:port]`. A leading `https://` forces TLS on loopback too.
    pub(crate) fn parse(location: &str) -> Result<Self, ImageError> {
        let invalid = |detail: &str| ImageError::configuration(format!("registry {location:?}"), detail);
        let (scheme, host) = match location.split_once("://") {
            Some((scheme @ ("http" | "https"), host)) => (Some(scheme), host),
            Some(_) => return Err(invalid("host or host:port")),
            None => (None, location),
        };
        let host = match host.trim_end_matches('/') {
            "docker.io" | "index.docker.io" => "registry-1.docker.io",
            host => host,
        };
        if host.is_empty() || !host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-:[]".contains(&b)) {
            return Err(invalid("host or host:port, without a path, a query or a user"));
        }
        let parse = |scheme: &str| Url::parse(&format!("{scheme}://{host}/v2/"));
        let secure = parse("https").map_err(|e| invalid(&e.to_string()))?;
        let base = match scheme {
            None if is_loopback(&secure) => parse("http").map_err(|e| invalid(&e.to_string()))?,
            Some("http") if !is_loopback(&secure) => {
                return Err(invalid("plain HTTP is allowed only on loopback (localhost, 127.0.0.1, ::1)"));
            }
            Some("http") => parse("http").map_err(|e| invalid(&e.to_string()))?,
            _ => secure,
        };
        Ok(Self { base, host: host.to_owned() })
    }

    /// Returns `host[:port]`, as the Docker configuration names it.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Returns the host without a port.
    pub(crate) fn host_name(&self) -> &str {
        self.base.host_str().unwrap_or_default()
    }

    pub(crate) fn url(&self, repository: &str, path: &str) -> Result<Url, ImageError> {
        self.base
            .join(&format!("{repository}/{path}"))
            .map_err(|e| ImageError::configuration(format!("address of {repository}"), e.to_string()))
    }

    pub(crate) fn is_loopback(&self) -> bool {
        is_loopback(&self.base)
    }

    pub(crate) fn is_same_origin(&self, url: &Url) -> bool {
        self.base.origin() == url.origin()
    }

    /// Whether a request may be redirected to `url`: by TLS anywhere; by plain HTTP only on loopback, and only if the
    /// registry itself is on loopback.
    pub(crate) fn may_redirect_to(&self, url: &Url) -> bool {
        match url.scheme() {
            "https" => true,
            "http" => self.is_loopback() && is_loopback(url),
            _ => false,
        }
    }
}

/// Whether the URL's host is loopback, by name or address.
pub(crate) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("127.0.0.1:5000", Some("http://127.0.0.1:5000/v2/a/tags/list"))]
    #[case("localhost:5000", Some("http://localhost:5000/v2/a/tags/list"))]
    #[case("[::1]:5000", Some("http://[::1]:5000/v2/a/tags/list"))]
    #[case("https://127.0.0.1:5000/", Some("https://127.0.0.1:5000/v2/a/tags/list"))]
    #[case("ghcr.io", Some("https://ghcr.io/v2/a/tags/list"))]
    #[case("docker.io", Some("https://registry-1.docker.io/v2/a/tags/list"))]
    #[case("http://ghcr.io", None)]
    #[case("ftp://ghcr.io", None)]
    #[case("user:password@ghcr.io", None)]
    #[case("ghcr.io/exercism", None)]
    #[case("ghcr.io?x", None)]
    #[case("ghcr.io:port", None)]
    #[case("", None)]
    fn locations_are_parsed(#[case] location: &str, #[case] url: Option<&str>) {
        let endpoint = Endpoint::parse(location).ok();
        let found = endpoint.map(|e| e.url("a", "tags/list").unwrap().to_string());
        assert_eq!(found.as_deref(), url);
    }

    #[rstest]
    #[case("127.0.0.1:5000", "http://127.0.0.1:6000/x", true)]
    #[case("127.0.0.1:5000", "http://169.254.169.254/x", false)]
    #[case("ghcr.io", "https://blobs.example/x", true)]
    #[case("ghcr.io", "http://blobs.example/x", false)]
    #[case("ghcr.io", "http://127.0.0.1:9180/x", false)]
    #[case("ghcr.io", "file:///etc/passwd", false)]
    fn redirects_are_restricted(#[case] location: &str, #[case] url: &str, #[case] allowed: bool) {
        let endpoint = Endpoint::parse(location).unwrap();
        assert_eq!(endpoint.may_redirect_to(&Url::parse(url).unwrap()), allowed);
    }
}
