//! Where an upload goes on, as the registry says.

use reqwest::Url;

use crate::registry::endpoint::Endpoint;

/// The place that a `Location` names, seen from `from`: by the rules of redirects, and without a user.
pub(crate) fn follow(endpoint: &Endpoint, from: &Url, location: &str) -> Result<Url, &'static str> {
    let url = from.join(location).map_err(|_| "the Location of its upload is no address")?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("the Location of its upload holds a user");
    }
    if !endpoint.may_lead_to(&url) {
        return Err(
            "the Location of its upload leads to plain HTTP or to this machine; behind a proxy, tell the \
                    registry its public address",
        );
    }
    Ok(url)
}

/// How many bytes a `Range` of an upload says are there; `0-0` is said of none.
pub(crate) fn offset(range: &str) -> Option<u64> {
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
    fn locations(#[case] registry: &str, #[case] location: &str, #[case] expected: Option<&str>) {
        let endpoint = Endpoint::parse(registry).unwrap();
        let from = endpoint.url("a", "blobs/uploads/").unwrap();
        let found = follow(&endpoint, &from, location);
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
    fn offsets(#[case] range: &str, #[case] expected: Option<u64>) {
        assert_eq!(offset(range), expected);
    }
}
