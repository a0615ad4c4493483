//! Authentication at a registry: Basic credentials, or a bearer token obtained with them.

use std::path::PathBuf;

use async_trait::async_trait;
use http_auth::parser::ChallengeParser;
use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};
use serde::Deserialize;

use crate::docker_config::{self, Basic};
use crate::error::ImageError;

/// A provider of user name and password.
#[async_trait]
pub(crate) trait Credentials: Send + Sync {
    /// Returns the credentials to send. `refused` are those that the registry has just refused, if any.
    async fn basic(&self, refused: Option<&Basic>) -> Result<Option<Basic>, ImageError>;

    /// Whether the credentials expire, so that a 403 may mean they have.
    fn are_temporary(&self) -> bool {
        false
    }
}

/// Credentials from a Docker configuration file.
pub(crate) struct DockerConfig {
    path: Option<PathBuf>,
    registry: String,
}

impl DockerConfig {
    pub(crate) const fn new(path: Option<PathBuf>, registry: String) -> Self {
        Self { path, registry }
    }
}

#[async_trait]
impl Credentials for DockerConfig {
    async fn basic(&self, _: Option<&Basic>) -> Result<Option<Basic>, ImageError> {
        match &self.path {
            Some(path) => docker_config::lookup(path, &self.registry),
            None => Ok(None),
        }
    }
}

/// The authentication that a registry asks for in a 401.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    Basic,
    Bearer { realm: String, service: Option<String> },
}

impl Challenge {
    /// Returns the strongest supported challenge, if any.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let values = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        let mut all: Vec<Self> = values.flat_map(parse).collect();
        all.sort_by_key(|challenge| *challenge == Self::Basic);
        all.into_iter().next()
    }
}

fn parse(header: &str) -> Vec<Challenge> {
    ChallengeParser::new(header).map_while(Result::ok).filter_map(|challenge| supported(&challenge)).collect()
}

fn supported(challenge: &http_auth::ChallengeRef<'_>) -> Option<Challenge> {
    if challenge.scheme.eq_ignore_ascii_case("basic") {
        return Some(Challenge::Basic);
    }
    if !challenge.scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let parameter = |name: &str| {
        let found = challenge.params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.to_unescaped())
    };
    Some(Challenge::Bearer { realm: parameter("realm")?, service: parameter("service") })
}

/// A token server's answer.
#[derive(Deserialize)]
pub(crate) struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
}

impl TokenAnswer {
    pub(crate) fn token(self) -> Option<String> {
        self.token.or(self.access_token).filter(|token| !token.is_empty())
    }
}

/// The content of the `Authorization` header. It has no `Debug`, so that it is never logged.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Authorization {
    Basic(Basic),
    Bearer(String),
}

impl Authorization {
    pub(crate) fn apply(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        match self {
            Self::Basic(basic) => request.basic_auth(&basic.user, Some(&basic.password)),
            Self::Bearer(token) => request.bearer_auth(token),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn bearer(realm: &str, service: Option<&str>) -> Option<Challenge> {
        Some(Challenge::Bearer { realm: realm.to_owned(), service: service.map(str::to_owned) })
    }

    #[rstest]
    #[case(&["Basic realm=\"x\""], Some(Challenge::Basic))]
    #[case(&["Bearer realm=\"https://a/t\",service=\"s\""], bearer("https://a/t", Some("s")))]
    #[case(&["Basic realm=\"x\"", "bearer realm=\"https://a/t\""], bearer("https://a/t", None))]
    #[case(&["Bearer service=\"s\""], None)]
    #[case(&["Negotiate"], None)]
    #[case(&["\"\""], None)]
    #[case(&[], None)]
    fn challenges_are_parsed(#[case] headers: &[&str], #[case] expected: Option<Challenge>) {
        let headers: HeaderMap =
            headers.iter().map(|value| (WWW_AUTHENTICATE, value.parse().unwrap())).collect();
        assert_eq!(Challenge::from_headers(&headers), expected);
    }
}
