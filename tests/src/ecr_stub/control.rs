//! The control plane: tokens, repositories and the list of images, in the SDK's JSON protocol.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Account, MAX_PAGE, RepositorySettings, lock};

const TOKEN_LIFETIME: Duration = Duration::from_secs(12 * 3600);

type ControlAnswer = (StatusCode, Json<Value>);

/// Creates the control plane's service.
pub(super) fn service(account: Arc<Mutex<Account>>) -> Router {
    let answer = move |headers: HeaderMap, body: Bytes| {
        let answer = lock(&account).answer(&headers, &body);
        std::future::ready(answer)
    };
    Router::new().route("/", post(answer))
}

impl Account {
    /// Returns true if the registry accepts this token.
    pub(super) fn accepts(&self, token: &str) -> bool {
        let number = token.strip_prefix("token-").and_then(|number| number.parse::<u32>().ok());
        let is_current = number == Some(self.tokens_given) && self.tokens_given > self.expired;
        is_current && self.lifetime != Some(Duration::ZERO)
    }

    /// Returns true if the repository exists.
    pub(super) fn has_repository(&self, repository: &str) -> bool {
        self.repositories.settings(repository).is_some()
            || self.tags.iter().any(|(name, _, _)| name == repository)
    }

    fn answer(&mut self, headers: &HeaderMap, body: &[u8]) -> ControlAnswer {
        if let Some(left) = self.throttle.checked_sub(1) {
            self.throttle = left;
            return refused("ThrottlingException", "Rate exceeded");
        }
        let target = headers.get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let request: Value = serde_json::from_slice(body).unwrap_or_default();
        match target.rsplit('.').next() {
            Some("GetAuthorizationToken") => self.token(),
            Some("CreateRepository") => self.create(&request),
            Some("DescribeImages") => self.describe(&request),
            _ => refused("UnknownOperationException", target),
        }
    }

    fn create(&mut self, request: &Value) -> ControlAnswer {
        let name = request.get("repositoryName").and_then(Value::as_str).unwrap_or_default();
        let settings = RepositorySettings::parse(request);
        match self.repositories.create(name, settings) {
            Ok(()) => (StatusCode::OK, Json(json!({"repository": {"repositoryName": name}}))),
            Err(()) => refused("RepositoryAlreadyExistsException", "The repository already exists"),
        }
    }

    fn token(&mut self) -> ControlAnswer {
        self.tokens_given += 1;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let expires = if self.expiry_is_in_the_past { Duration::ZERO } else { now + TOKEN_LIFETIME };
        let token = STANDARD.encode(format!("AWS:token-{}", self.tokens_given));
        let data = json!({"authorizationToken": token, "proxyEndpoint": format!("http://{}", self.registry),
            "expiresAt": expires.as_secs_f64()});
        (StatusCode::OK, Json(json!({"authorizationData": [data]})))
    }

    fn describe(&mut self, request: &Value) -> ControlAnswer {
        let text = |name: &str| request.get(name).and_then(Value::as_str).unwrap_or_default();
        let repository = text("repositoryName");
        if !self.has_repository(repository) {
            return refused("RepositoryNotFoundException", "The repository does not exist");
        }
        let wanted = request.pointer("/imageIds/0/imageTag").and_then(Value::as_str);
        let mut images: Vec<(&str, Vec<&str>)> = Vec::new();
        let is_wanted = |tag: &str| wanted.is_none_or(|wanted| wanted == tag);
        for (_, tag, digest) in self.tags.iter().filter(|(name, tag, _)| name == repository && is_wanted(tag))
        {
            match images.iter_mut().find(|(known, _)| known == digest) {
                Some((_, tags)) => tags.push(tag),
                None => images.push((digest, vec![tag])),
            }
        }
        if images.is_empty() && wanted.is_some() {
            return refused("ImageNotFoundException", "The image does not exist");
        }
        self.pages += 1;
        let max_results = request.get("maxResults").and_then(Value::as_u64).unwrap_or(u64::MAX);
        let size = MAX_PAGE.min(usize::try_from(max_results).unwrap_or(MAX_PAGE));
        let from: usize = text("nextToken").parse().unwrap_or(0);
        let page: Vec<Value> = images.iter().skip(from).take(size).map(|(digest, tags)| {
            json!({"repositoryName": repository, "imageDigest": digest, "imageTags": tags})
        }).collect();
        let next = from + page.len();
        let mut answer = json!({"imageDetails": page});
        if let Some(answer) = answer.as_object_mut().filter(|_| next < images.len()) {
            answer.insert("nextToken".to_owned(), json!(next.to_string()));
        }
        (StatusCode::OK, Json(answer))
    }
}

fn refused(kind: &str, message: &str) -> ControlAnswer {
    (StatusCode::BAD_REQUEST, Json(json!({"__type": kind, "message": message})))
}
