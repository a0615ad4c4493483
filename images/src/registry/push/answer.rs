//! What a registry's refusal means.

use std::time::Duration;

use reqwest::{Response, StatusCode};
use serde::Deserialize;

use crate::registry::http::Http;
use crate::release::ReleaseError;

const MAX_ANSWER: u64 = 64 << 10;

/// The specification's codes. Nothing else of a registry's text is ever shown.
const CODES: [&str; 16] = [
    "BLOB_UNKNOWN",
    "BLOB_UPLOAD_INVALID",
    "BLOB_UPLOAD_UNKNOWN",
    "DENIED",
    "DIGEST_INVALID",
    "MANIFEST_BLOB_UNKNOWN",
    "MANIFEST_INVALID",
    "MANIFEST_UNKNOWN",
    "NAME_INVALID",
    "NAME_UNKNOWN",
    "SIZE_INVALID",
    "TAG_INVALID",
    "TOOMANYREQUESTS",
    "UNAUTHORIZED",
    "UNKNOWN",
    "UNSUPPORTED",
];

#[derive(Deserialize)]
struct Answer {
    errors: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    code: String,
}

/// The first known code of an answer, if it comes within `limit`.
pub(super) async fn code(http: &Http, response: Response, limit: Duration) -> Option<&'static str> {
    let answer = http.bounded(response, "an answer", MAX_ANSWER);
    let bytes = tokio::time::timeout(limit, answer).await.ok()?.ok()?;
    let answer: Answer = serde_json::from_slice(&bytes).ok()?;
    let known = |entry: &Entry| CODES.iter().copied().find(|code| *code == entry.code);
    answer.errors.iter().find_map(known)
}

pub(super) fn failure(
    place: String,
    what: String,
    status: StatusCode,
    code: Option<&'static str>,
) -> ReleaseError {
    match status {
        StatusCode::UNAUTHORIZED => {
            ReleaseError::Unauthorized { place, detail: "the credentials are missing or wrong".to_owned() }
        }
        StatusCode::TOO_MANY_REQUESTS => ReleaseError::Throttled { place },
        StatusCode::PAYLOAD_TOO_LARGE | StatusCode::INSUFFICIENT_STORAGE => {
            ReleaseError::Full { place, what, status: status.as_u16() }
        }
        StatusCode::NOT_IMPLEMENTED => ReleaseError::Refused { place, what, status: status.as_u16(), code },
        status if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT => {
            ReleaseError::Unreachable { place, detail: format!("HTTP status {}", status.as_u16()) }
        }
        status => ReleaseError::Refused { place, what, status: status.as_u16(), code },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(400, "refused", false)]
    #[case(401, "unauthorized", false)]
    #[case(403, "refused", false)]
    #[case(404, "refused", false)]
    #[case(405, "refused", false)]
    #[case(307, "refused", false)]
    #[case(408, "unreachable", true)]
    #[case(413, "full", false)]
    #[case(429, "throttled", true)]
    #[case(500, "unreachable", true)]
    #[case(501, "refused", false)]
    #[case(503, "unreachable", true)]
    #[case(507, "full", false)]
    fn statuses(#[case] status: u16, #[case] word: &str, #[case] is_transient: bool) {
        let status = StatusCode::from_u16(status).unwrap();
        let error = failure("registry r".to_owned(), "a blob".to_owned(), status, Some("DENIED"));
        assert_eq!((error.as_str(), error.is_transient()), (word, is_transient));
    }
}
