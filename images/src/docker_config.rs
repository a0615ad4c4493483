//! Credentials from a Docker configuration file (`config.json`).

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::error::Error;

const MAX_FILE: u64 = 1 << 20;

/// A user name and password. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Basic {
    pub(crate) user: String,
    pub(crate) password: String,
}

impl fmt::Debug for Basic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Basic(…)")
    }
}

impl Basic {
    /// From `base64(user:password)`.
    pub(crate) fn decode(text: &str) -> Option<Self> {
        let text = String::from_utf8(STANDARD.decode(text.trim()).ok()?).ok()?;
        let (user, password) = text.trim_end_matches('\0').split_once(':')?;
        Some(Self { user: user.to_owned(), password: password.to_owned() })
    }
}

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    auths: BTreeMap<String, Auth>,
}

#[derive(Deserialize)]
struct Auth {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
}

/// The credentials that the file at `path` holds for `registry` (`host[:port]`); none if it has no entry for it.
/// Credential helpers are not run.
pub(crate) fn lookup(path: &Path, registry: &str) -> Result<Option<Basic>, Error> {
    let what = || format!("Docker configuration {}", path.display());
    let file = std::fs::File::open(path).map_err(|e| Error::configuration(what(), e.to_string()))?;
    let mut text = String::new();
    file.take(MAX_FILE).read_to_string(&mut text).map_err(|e| Error::configuration(what(), e.to_string()))?;
    find(&text, registry).map_err(|detail| Error::configuration(what(), detail))
}

/// The parser's own words may hold a part of the file: only the place is told.
pub(crate) fn find(text: &str, registry: &str) -> Result<Option<Basic>, String> {
    let config: Config = serde_json::from_str(text)
        .map_err(|e| format!("line {} column {}: not as expected", e.line(), e.column()))?;
    let entry = config.auths.iter().find(|(key, _)| host_of(key) == registry);
    let Some((_, auth)) = entry else { return Ok(None) };
    match (&auth.auth, &auth.username, &auth.password) {
        (Some(encoded), _, _) if !encoded.is_empty() => Basic::decode(encoded)
            .map(Some)
            .ok_or_else(|| format!("the entry for {registry} is not base64 of user:password")),
        (_, Some(user), Some(password)) => Ok(Some(Basic { user: user.clone(), password: password.clone() })),
        _ => Ok(None),
    }
}

/// Keys may be URLs, as `https://index.docker.io/v1/`.
fn host_of(key: &str) -> &str {
    let rest = key.split_once("://").map_or(key, |(_, rest)| rest);
    match rest.split('/').next().unwrap_or_default() {
        "index.docker.io" | "docker.io" => "registry-1.docker.io",
        host => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(r#"{"auths": {"127.0.0.1:5000": {"auth": "bWU6c2U6Y3JldA=="}}}"#, Some("me se:cret"))]
    #[case(r#"{"auths": {"http://127.0.0.1:5000/v2/": {"username": "u", "password": "p"}}}"#, Some("u p"))]
    #[case(r#"{"auths": {"127.0.0.1": {"auth": "bWU6cw=="}}, "credsStore": "desktop"}"#, None)]
    #[case(r#"{"auths": {"127.0.0.1:5000": {}}}"#, None)]
    #[case("{}", None)]
    fn entries(#[case] text: &str, #[case] found: Option<&str>) {
        let basic = find(text, "127.0.0.1:5000").unwrap();
        assert_eq!(basic.map(|b| format!("{} {}", b.user, b.password)).as_deref(), found);
    }

    #[test]
    fn an_error_never_shows_what_the_file_holds() {
        for text in [r#"{"auths": {"127.0.0.1:5000": {"auth": "secret"}}}"#, r#"{"auths": "secret"}"#] {
            assert!(!find(text, "127.0.0.1:5000").unwrap_err().contains("secret"));
        }
    }
}
