//! ECR's authorization token: fetched once for all, renewed early, and again when the registry refuses it.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use aws_sdk_ecr::Client;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::failure;
use super::location::Location;
use crate::docker_config::Basic;
use crate::error::Error;
use crate::registry::auth::Credentials;
use crate::registry::endpoint::Endpoint;

/// Used at least this long, whatever its expiry says: clocks differ, and some servers state one in the past. A token
/// that is refused sooner is renewed at once.
const SHORTEST: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(12 * 3600);

/// The tokens of one registry.
pub(crate) struct Tokens {
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

impl Tokens {
    pub(crate) fn new(client: Client, location: Location) -> Self {
        Self { client, location, current: Mutex::default() }
    }

    /// The registry that the current token is for.
    pub(crate) async fn endpoint(&self) -> Result<Endpoint, Error> {
        let token = self.get(None).await?;
        self.location.registry(token.registry.as_deref())
    }

    /// One request at a time: whoever waits gets what the first one fetched.
    async fn get(&self, refused: Option<&Basic>) -> Result<Token, Error> {
        let mut current = self.current.lock().await;
        let usable = |token: &&Token| Instant::now() < token.renew_at && Some(&token.basic) != refused;
        if let Some(token) = current.as_ref().filter(usable) {
            return Ok(token.clone());
        }
        let token = self.fetch().await?;
        Ok(current.insert(token).clone())
    }

    async fn fetch(&self) -> Result<Token, Error> {
        let host = self.location.host();
        let answer = self.client.get_authorization_token().send().await;
        let answer = answer.map_err(|error| failure("a token", host, &error))?;
        let data = answer.authorization_data().first();
        let basic = data.and_then(|data| Basic::decode(data.authorization_token()?));
        let basic = basic.ok_or_else(|| Error::malformed("ECR's answer", "it holds no token"))?;
        let expires = data.and_then(|data| SystemTime::try_from(*data.expires_at()?).ok());
        let left = expires.and_then(|expires| expires.duration_since(SystemTime::now()).ok());
        Ok(Token {
            basic,
            registry: data.and_then(|data| data.proxy_endpoint()).map(str::to_owned),
            renew_at: Instant::now() + use_for(left.unwrap_or_default(), rand::random()),
        })
    }
}

/// How long to use a token that is good for `left`: 80 to 90 percent of it, so that many workers do not renew at
/// once. `jitter` is from 0 to 1.
fn use_for(left: Duration, jitter: f64) -> Duration {
    left.mul_f64(0.8 + 0.1 * jitter.clamp(0.0, 1.0)).clamp(SHORTEST, LONGEST)
}

#[async_trait]
impl Credentials for Tokens {
    async fn basic(&self, refused: Option<&Basic>) -> Result<Option<Basic>, Error> {
        Ok(Some(self.get(refused).await?.basic))
    }

    fn expire(&self) -> bool {
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
    fn a_token_is_renewed_early(#[case] left: u64, #[case] jitter: f64, #[case] seconds: u64) {
        assert_eq!(use_for(Duration::from_secs(left), jitter).as_secs(), seconds);
    }
}
