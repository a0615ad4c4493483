//! Who we are in a request: what the registry took last, and anew when it is refused.

use std::collections::HashMap;
use std::fmt;

use reqwest::header::HeaderMap;
use reqwest::{RequestBuilder, Response, StatusCode, Url};
use tokio::sync::Mutex;

use super::Http;
use crate::docker_config::Basic;
use crate::error::Error;
use crate::registry::auth::{Authorization, Challenge, TokenAnswer};

const MAX_TOKEN_ANSWER: u64 = 1 << 20;
/// More repositories than a yard has tracks; forgetting them all costs one request each.
const MAX_SESSIONS: usize = 1024;

/// What a request wants to do, and where: bearer tokens are good for that only.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub(crate) repository: &'a str,
    pub(crate) access: Access,
}

/// What a request wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Access {
    Pull,
    Push,
}

/// What the registry took last.
#[derive(Default)]
pub(super) struct Sessions(Mutex<HashMap<(String, Access), Authorization>>);

impl Sessions {
    async fn get(&self, scope: Scope<'_>) -> Option<Authorization> {
        self.0.lock().await.get(&scope.key()).cloned()
    }

    async fn keep(&self, scope: Scope<'_>, authorization: Authorization) {
        let mut all = self.0.lock().await;
        if all.len() >= MAX_SESSIONS {
            all.clear();
        }
        all.insert(scope.key(), authorization);
    }

    async fn forget(&self, scope: Scope<'_>) {
        self.0.lock().await.remove(&scope.key());
    }
}

impl Http {
    /// Sends what `request` makes, and once more with fresh credentials if it is refused.
    pub(crate) async fn authorised(
        &self,
        scope: Scope<'_>,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<Response, Error> {
        let session = self.sessions.get(scope).await;
        let response = self.execute(authorised(request(), session.as_ref())).await?;
        let Some(answer) = self.renewed(scope, &response, session.as_ref()).await? else {
            return Ok(response);
        };
        let response = self.execute(authorised(request(), Some(&answer))).await?;
        if response.status() == StatusCode::UNAUTHORIZED {
            self.sessions.forget(scope).await;
            return Err(self.refused("it does not take the credentials given"));
        }
        self.sessions.keep(scope, answer).await;
        Ok(response)
    }

    /// The credentials that the registry took last.
    pub(crate) async fn session(&self, scope: Scope<'_>) -> Option<Authorization> {
        self.sessions.get(scope).await
    }

    /// Whether an answer may mean that the credentials expired.
    pub(crate) fn is_expiry(&self, status: StatusCode) -> bool {
        status == StatusCode::UNAUTHORIZED || (status == StatusCode::FORBIDDEN && self.credentials.expire())
    }

    /// Fresh credentials, if the answer asks for any.
    async fn renewed(
        &self,
        scope: Scope<'_>,
        response: &Response,
        session: Option<&Authorization>,
    ) -> Result<Option<Authorization>, Error> {
        match (response.status(), session) {
            (StatusCode::UNAUTHORIZED, session) => {
                self.answer(scope, response.headers(), session).await.map(Some)
            }
            // ECR says so of a token that it once took.
            (StatusCode::FORBIDDEN, Some(Authorization::Basic(refused))) if self.credentials.expire() => {
                Ok(self.credentials.basic(Some(refused)).await?.map(Authorization::Basic))
            }
            _ => Ok(None),
        }
    }

    /// What a 401 asks for.
    async fn answer(
        &self,
        scope: Scope<'_>,
        headers: &HeaderMap,
        session: Option<&Authorization>,
    ) -> Result<Authorization, Error> {
        let challenge = Challenge::from_headers(headers)
            .ok_or_else(|| self.refused("it asks for a kind of authentication that is not known here"))?;
        let refused = match session {
            Some(Authorization::Basic(basic)) => Some(basic),
            _ => None,
        };
        let basic = self.credentials.basic(refused).await?;
        match (challenge, basic) {
            (Challenge::Basic, Some(basic)) => Ok(Authorization::Basic(basic)),
            (Challenge::Basic, None) => {
                Err(self
                    .refused("it asks for a user name and a password: give a Docker configuration with them"))
            }
            (Challenge::Bearer { realm, service }, basic) => {
                self.token(scope, &realm, service.as_deref(), basic.as_ref()).await
            }
        }
    }

    async fn token(
        &self,
        scope: Scope<'_>,
        realm: &str,
        service: Option<&str>,
        basic: Option<&Basic>,
    ) -> Result<Authorization, Error> {
        let url = Url::parse(realm).ok().filter(|url| self.endpoint.may_lead_to(url));
        let url = url.ok_or_else(|| self.refused("its token server is not at an address that is allowed"))?;
        let mut request = self.client.get(url).query(&[("scope", scope.to_string())]);
        if let Some(service) = service {
            request = request.query(&[("service", service)]);
        }
        if let Some(basic) = basic {
            request = request.basic_auth(&basic.user, Some(&basic.password));
        }
        let response = self.success(self.execute(request).await?, "a token")?;
        let bytes = self.bounded(response, "the token server's answer", MAX_TOKEN_ANSWER).await?;
        let answer: Option<TokenAnswer> = serde_json::from_slice(&bytes).ok();
        let token = answer.and_then(TokenAnswer::token);
        token.map(Authorization::Bearer).ok_or_else(|| self.refused("its token server gives no token"))
    }
}

impl Scope<'_> {
    fn key(&self) -> (String, Access) {
        (self.repository.to_owned(), self.access)
    }
}

impl fmt::Display for Scope<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let actions = match self.access {
            Access::Pull => "pull",
            Access::Push => "pull,push",
        };
        write!(f, "repository:{}:{actions}", self.repository)
    }
}

fn authorised(request: RequestBuilder, session: Option<&Authorization>) -> RequestBuilder {
    match session {
        Some(authorization) => authorization.apply(request),
        None => request,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_asked_for_what_is_to_be_done() {
        let scope = |access| Scope { repository: "a/b", access }.to_string();
        assert_eq!(scope(Access::Pull), "repository:a/b:pull");
        assert_eq!(scope(Access::Push), "repository:a/b:pull,push");
    }
}
