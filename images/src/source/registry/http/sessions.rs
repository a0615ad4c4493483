//! Authorization of requests: the last accepted credentials, renewed when the registry refuses them.

use std::collections::HashMap;
use std::fmt;

use reqwest::header::HeaderMap;
use reqwest::{RequestBuilder, Response, StatusCode, Url};
use tokio::sync::Mutex;

use super::HttpClient;
use crate::docker_config::Basic;
use crate::error::ImageError;
use crate::source::registry::auth::{Authorization, Challenge, TokenAnswer};

const MAX_TOKEN_ANSWER_BYTES: u64 = 1 << 20;
/// More repositories than there are tracks. When the limit is reached all are forgotten, which costs one request each.
const MAX_SESSIONS: usize = 1024;

/// The repository and access of a request. A bearer token is valid for one scope only.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub(crate) repository: &'a str,
    pub(crate) access: Access,
}

/// The access that a request needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Access {
    Pull,
    Push,
}

/// The last accepted authorization of each scope.
#[derive(Default)]
pub(super) struct Sessions(Mutex<HashMap<(String, Access), Authorization>>);

impl Sessions {
    async fn get(&self, scope: Scope<'_>) -> Option<Authorization> {
        self.0.lock().await.get(&scope.key()).cloned()
    }

    async fn insert(&self, scope: Scope<'_>, authorization: Authorization) {
        let mut all = self.0.lock().await;
        if all.len() >= MAX_SESSIONS {
            all.clear();
        }
        all.insert(scope.key(), authorization);
    }

    async fn remove(&self, scope: Scope<'_>) {
        self.0.lock().await.remove(&scope.key());
    }
}

impl HttpClient {
    /// Sends the request that `request` makes, and repeats it with fresh credentials if it is refused.
    pub(crate) async fn send_authorized(
        &self,
        scope: Scope<'_>,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<Response, ImageError> {
        let session = self.sessions.get(scope).await;
        let response = self.execute(with_session(request(), session.as_ref())).await?;
        let Some(fresh) = self.refresh_if_refused(scope, &response, session.as_ref()).await? else {
            return Ok(response);
        };
        let response = self.execute(with_session(request(), Some(&fresh))).await?;
        if response.status() == StatusCode::UNAUTHORIZED {
            self.sessions.remove(scope).await;
            return Err(self.refused("it does not accept the given credentials"));
        }
        self.sessions.insert(scope, fresh).await;
        Ok(response)
    }

    /// Returns the authorization that the registry accepted last.
    pub(crate) async fn session(&self, scope: Scope<'_>) -> Option<Authorization> {
        self.sessions.get(scope).await
    }

    /// Whether a status may mean that the credentials have expired.
    pub(crate) fn is_expiry(&self, status: StatusCode) -> bool {
        status == StatusCode::UNAUTHORIZED
            || (status == StatusCode::FORBIDDEN && self.credentials.are_temporary())
    }

    /// Returns fresh credentials if the response asks for them.
    async fn refresh_if_refused(
        &self,
        scope: Scope<'_>,
        response: &Response,
        session: Option<&Authorization>,
    ) -> Result<Option<Authorization>, ImageError> {
        match (response.status(), session) {
            (StatusCode::UNAUTHORIZED, session) => {
                self.answer_challenge(scope, response.headers(), session).await.map(Some)
            }
            // ECR answers 403 when a token has expired.
            (StatusCode::FORBIDDEN, Some(Authorization::Basic(refused)))
                if self.credentials.are_temporary() =>
            {
                Ok(self.credentials.basic(Some(refused)).await?.map(Authorization::Basic))
            }
            _ => Ok(None),
        }
    }

    /// Returns the authorization that a 401 asks for.
    async fn answer_challenge(
        &self,
        scope: Scope<'_>,
        headers: &HeaderMap,
        session: Option<&Authorization>,
    ) -> Result<Authorization, ImageError> {
        let challenge = Challenge::from_headers(headers)
            .ok_or_else(|| self.refused("it asks for a kind of authentication that is not supported"))?;
        let refused = match session {
            Some(Authorization::Basic(basic)) => Some(basic),
            _ => None,
        };
        let basic = self.credentials.basic(refused).await?;
        match (challenge, basic) {
            (Challenge::Basic, Some(basic)) => Ok(Authorization::Basic(basic)),
            (Challenge::Basic, None) => Err(self
                .refused("it asks for a user name and a password: set a Docker configuration that has them")),
            (Challenge::Bearer { realm, service }, basic) => {
                self.fetch_token(scope, &realm, service.as_deref(), basic.as_ref()).await
            }
        }
    }

    async fn fetch_token(
        &self,
        scope: Scope<'_>,
        realm: &str,
        service: Option<&str>,
        basic: Option<&Basic>,
    ) -> Result<Authorization, ImageError> {
        let url = Url::parse(realm).ok().filter(|url| self.endpoint.may_redirect_to(url));
        let url = url.ok_or_else(|| self.refused("its token server has an address that is not allowed"))?;
        let mut request = self.client.get(url).query(&[("scope", scope.to_string())]);
        if let Some(service) = service {
            request = request.query(&[("service", service)]);
        }
        if let Some(basic) = basic {
            request = request.basic_auth(&basic.user, Some(&basic.password));
        }
        let response = self.check_status(self.execute(request).await?, "a token")?;
        let bytes = self.read_bounded(response, "the token server's answer", MAX_TOKEN_ANSWER_BYTES).await?;
        let answer: Option<TokenAnswer> = serde_json::from_slice(&bytes).ok();
        let token = answer.and_then(TokenAnswer::token);
        token.map(Authorization::Bearer).ok_or_else(|| self.refused("its token server returned no token"))
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

fn with_session(request: RequestBuilder, session: Option<&Authorization>) -> RequestBuilder {
    match session {
        Some(authorization) => authorization.apply(request),
        None => request,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_scope_names_the_access() {
        let scope = |access| Scope { repository: "a/b", access }.to_string();
        assert_eq!(scope(Access::Pull), "repository:a/b:pull");
        assert_eq!(scope(Access::Push), "repository:a/b:pull,push");
    }
}
