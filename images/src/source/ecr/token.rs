//! ECR's authorization token: shared by all requests, renewed early, and renewed at once when the registry refuses it.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use aws_sdk_ecr::Client;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::api_error;
use super::location::Location;
use crate::docker_config::Basic;
use crate::error::ImageError;
use crate::source::registry::auth::Credentials;
use crate::source::registry::endpoint::Endpoint;

/// Minimum time that a token is used whatever its expiry says: clocks differ, and some servers state one in the past. A
/// token that is refused earlier is renewed at once.
const MIN_TOKEN_USE: Duration = Duration::from_secs(60);
const MAX_TOKEN_USE: Duration = Duration::from_secs(12 * 3600);

/// Caches the token of one registry.
pub(crate) struct TokenCache {
    client: Client,
    location: Location,
    current: Mutex<Option<Token>>,
}

#[derive(Clone)]
struct Token {
    basic: Basic,
    registry: Option<String>,
    renew_at: Instant,
}

impl TokenCache {
    pub(crate) fn new(client: Client, location: Location) -> Self {
        Self { client, location, current: Mutex::default() }
    }

    /// Returns the registry of the current token.
    pub(crate) async fn endpoint(&self) -> Result<Endpoint, ImageError> {
        let token = self.get(None).await?;
        self.location.registry(token.registry.as_deref())
    }

    /// Returns the current token, or a new one if it is due for renewal or was `refused`. Concurrent callers share one
    /// request.
    async fn get(&self, refused: Option<&Basic>) -> Result<Token, ImageError> {
        let mut current = self.current.lock().await;
        if let Some(token) = current.as_ref()
            && Instant::now() < token.renew_at
            && Some(&token.basic) != refused
        {
            return Ok(token.clone());
        }
        let token = self.fetch().await?;
        Ok(current.insert(token).clone())
    }

    async fn fetch(&self) -> Result<Token, ImageError> {
        let host = self.location.host();
        let answer = self.client.get_authorization_token().send().await;
        let answer = answer.map_err(|error| api_error("a token", host, &error))?;
        let data = answer.authorization_data().first();
        let basic = data.and_then(|data| Basic::decode(data.authorization_token()?));
        let basic = basic.ok_or_else(|| ImageError::malformed("ECR's answer", "it has no token"))?;
        let expires = data.and_then(|data| SystemTime::try_from(*data.expires_at()?).ok());
        let left = expires.and_then(|expires| expires.duration_since(SystemTime::now()).ok());
        Ok(Token {
            basic,
            registry: data.and_then(|data| data.proxy_endpoint()).map(str::to_owned),
            renew_at: Instant::now() + use_duration(left.unwrap_or_default(), rand::random()),
        })
    }
}

/// Returns how long to use a token that is valid for `left`: 80 to 90 % of it, so that many workers do not renew at the
/// same time. `jitter` is from 0 to 1.
fn use_duration(left: Duration, jitter: f64) -> Duration {
    left.mul_f64(0.8 + 0.1 * jitter.clamp(0.0, 1.0)).clamp(MIN_TOKEN_USE, MAX_TOKEN_USE)
}

#[async_trait]
impl Credentials for TokenCache {
    async fn basic(&self, refused: Option<&Basic>) -> Result<Option<Basic>, ImageError> {
        Ok(Some(self.get(refused).await?.basic))
    }

    fn are_temporary(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(12 * 3600, 0.0, 34_560)]
    #[case(12 * 3600, 1.0, 38_880)]
    #[case(0, 0.5, 60)]
    #[case(1 << 40, 0.5, 12 * 3600)]
    fn token_is_renewed_early(#[case] left: u64, #[case] jitter: f64, #[case] seconds: u64) {
        assert_eq!(use_duration(Duration::from_secs(left), jitter).as_secs(), seconds);
    }
}
