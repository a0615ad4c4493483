//! Credentials from a Docker configuration file (`config.json`).

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::error::ImageError;

const MAX_FILE_BYTES: u64 = 1 << 20;

/// A user name and a password. `Debug` does not show them.
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
    /// Decodes `base64(user:password)`.
    pub(crate) fn decode(text: &str) -> Option<Self> {
        let text = String::from_utf8(STANDARD.decode(text.trim()).ok()?).ok()?;
        let (user, password) = text.trim_end_matches('\0').split_once(':')?;
        Some(Self { user: user.to_owned(), password: password.to_owned() })
    }
}

#[derive(Deserialize)]
struct ConfigFile {
    #[serde(default)]
    auths: BTreeMap<String, AuthEntry>,
}

#[derive(Deserialize)]
struct AuthEntry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
}

/// Returns the credentials for `registry` (`host[:port]`) in the file at `path`, if it has an entry. Credential helpers
/// are not run.
pub(crate) fn lookup(path: &Path, registry: &str) -> Result<Option<Basic>, ImageError> {
    let what = || format!("Docker configuration {}", path.display());
    let file = std::fs::File::open(path).map_err(|e| ImageError::configuration(what(), e.to_string()))?;
    let mut text = String::new();
    file.take(MAX_FILE_BYTES)
        .read_to_string(&mut text)
        .map_err(|e| ImageError::configuration(what(), e.to_string()))?;
    find(&text, registry).map_err(|detail| ImageError::configuration(what(), detail))
}

/// Finds the credentials for `registry` in the text of a configuration file. The parser's message may quote the file, so
/// an error has the position alone.
pub(crate) fn find(text: &str, registry: &str) -> Result<Option<Basic>, String> {
    let config: ConfigFile = serde_json::from_str(text)
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

/// Returns the host of a key, which may be a URL such as `https://index.docker.io/v1/`.
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
    fn entries_are_found_by_host(#[case] text: &str, #[case] found: Option<&str>) {
        let basic = find(text, "127.0.0.1:5000").unwrap();
        assert_eq!(basic.map(|b| format!("{} {}", b.user, b.password)).as_deref(), found);
    }

    #[test]
    fn errors_never_quote_the_file() {
        for text in [r#"{"auths": {"127.0.0.1:5000": {"auth": "secret"}}}"#, r#"{"auths": "secret"}"#] {
            assert!(!find(text, "127.0.0.1:5000").unwrap_err().contains("secret"));
        }
    }
}
