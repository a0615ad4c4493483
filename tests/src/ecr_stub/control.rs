//! The control plane: tokens, repositories and the list of images, over JSON as the SDK speaks it.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Account, PAGE, Settings, lock};

const TWELVE_HOURS: Duration = Duration::from_secs(12 * 3600);

type Answer = (StatusCode, Json<Value>);

/// The service.
pub(super) fn service(account: Arc<Mutex<Account>>) -> Router {
    let answer = move |headers: HeaderMap, body: Bytes| {
        let answer = lock(&account).answer(&headers, &body);
        std::future::ready(answer)
    };
    Router::new().route("/", post(answer))
}

impl Account {
    /// Whether the registry takes this token. A lifetime that was cut short holds for all given so far.
    pub(super) fn takes(&self, token: &str) -> bool {
        let number = token.strip_prefix("token-").and_then(|number| number.parse::<u32>().ok());
        let is_current = number == Some(self.tokens_given) && self.tokens_given > self.expired;
        is_current && self.lifetime != Some(Duration::ZERO)
    }

    /// Whether there is such a repository.
    pub(super) fn has(&self, repository: &str) -> bool {
        self.repositories.settings(repository).is_some()
            || self.tags.iter().any(|(name, _, _)| name == repository)
    }

    fn answer(&mut self, headers: &HeaderMap, body: &[u8]) -> Answer {
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

    fn create(&mut self, request: &Value) -> Answer {
        let name = request.get("repositoryName").and_then(Value::as_str).unwrap_or_default();
        let settings = Settings::read(request);
        match self.repositories.create(name, settings) {
            Ok(()) => (StatusCode::OK, Json(json!({"repository": {"repositoryName": name}}))),
            Err(()) => refused("RepositoryAlreadyExistsException", "The repository already exists"),
        }
    }

    fn token(&mut self) -> Answer {
        self.tokens_given += 1;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let expires = if self.stated_in_the_past { Duration::ZERO } else { now + TWELVE_HOURS };
        let token = STANDARD.encode(format!("AWS:token-{}", self.tokens_given));
        let data = json!({"authorizationToken": token, "proxyEndpoint": format!("http://{}", self.named),
            "expiresAt": expires.as_secs_f64()});
        (StatusCode::OK, Json(json!({"authorizationData": [data]})))
    }

    fn describe(&mut self, request: &Value) -> Answer {
        let text = |name: &str| request.get(name).and_then(Value::as_str).unwrap_or_default();
        let repository = text("repositoryName");
        if !self.has(repository) {
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
        let asked = request.get("maxResults").and_then(Value::as_u64).unwrap_or(u64::MAX);
        let size = PAGE.min(usize::try_from(asked).unwrap_or(PAGE));
        let from: usize = text("nextToken").parse().unwrap_or(0);
        let one = |(digest, tags): &(&str, Vec<&str>)| json!({"repositoryName": repository, "imageDigest": digest, "imageTags": tags});
        let page: Vec<Value> = images.iter().skip(from).take(size).map(one).collect();
        let next = from + page.len();
        let mut answer = json!({"imageDetails": page});
        if let Some(answer) = answer.as_object_mut().filter(|_| next < images.len()) {
            answer.insert("nextToken".to_owned(), json!(next.to_string()));
        }
        (StatusCode::OK, Json(answer))
    }
}

fn refused(kind: &str, message: &str) -> Answer {
    (StatusCode::BAD_REQUEST, Json(json!({"__type": kind, "message": message})))
}
