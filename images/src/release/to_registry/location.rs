//! The headers in which a registry says where an upload continues.

use reqwest::Url;

use crate::source::registry::endpoint::Endpoint;

/// Resolves a `Location` relative to `from`. The rules for redirects apply, and it must not have a user.
pub(crate) fn resolve(endpoint: &Endpoint, from: &Url, location: &str) -> Result<Url, &'static str> {
    let url = from.join(location).map_err(|_| "the Location of its upload is not a URL")?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("the Location of its upload has a user name");
    }
    if !endpoint.may_redirect_to(&url) {
        return Err(
            "the Location of its upload leads to plain HTTP or to this machine; if it is behind a proxy, configure its \
             public address in the registry",
        );
    }
    Ok(url)
}

/// Returns the number of bytes that a `Range` says the registry has. Registries send `0-0` for none.
pub(crate) fn received_bytes(range: &str) -> Option<u64> {
    let range = range.trim();
    let (start, end) = range.strip_prefix("bytes=").unwrap_or(range).split_once('-')?;
    let end: u64 = end.parse().ok().filter(|_| start == "0")?;
    if end == 0 { Some(0) } else { end.checked_add(1) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(
        "https://r.example",
        "/v2/a/blobs/uploads/1?s=x",
        Some("https://r.example/v2/a/blobs/uploads/1?s=x")
    )]
    #[case("https://r.example", "2", Some("https://r.example/v2/a/blobs/uploads/2"))]
    #[case("https://r.example", "https://store.example/u?sig=1", Some("https://store.example/u?sig=1"))]
    #[case("https://r.example", "//store.example/u", Some("https://store.example/u"))]
    #[case("https://r.example", "http://store.example/u", None)]
    #[case("https://r.example", "http://r.example/u", None)]
    #[case("https://r.example", "http://127.0.0.1:80/u", None)]
    #[case("https://r.example", "https://user:pass@r.example/u", None)]
    #[case("https://r.example", "https://user@r.example/u", None)]
    #[case("https://r.example", "file:///etc/passwd", None)]
    #[case("https://r.example", "https://", None)]
    #[case("127.0.0.1:5000", "http://127.0.0.1:6000/u", Some("http://127.0.0.1:6000/u"))]
    #[case("127.0.0.1:5000", "http://169.254.169.254/u", None)]
    fn locations_are_resolved(
        #[case] registry: &str,
        #[case] location: &str,
        #[case] expected: Option<&str>,
    ) {
        let endpoint = Endpoint::parse(registry).unwrap();
        let from = endpoint.url("a", "blobs/uploads/").unwrap();
        let found = resolve(&endpoint, &from, location);
        assert_eq!(found.ok().map(|url| url.to_string()).as_deref(), expected);
    }

    #[rstest]
    #[case("0-0", Some(0))]
    #[case("0-1023", Some(1024))]
    #[case("bytes=0-9", Some(10))]
    #[case("5-9", None)]
    #[case("0-18446744073709551615", None)]
    #[case("0--1", None)]
    #[case("", None)]
    fn ranges_are_parsed(#[case] range: &str, #[case] expected: Option<u64>) {
        assert_eq!(received_bytes(range), expected);
    }
}
