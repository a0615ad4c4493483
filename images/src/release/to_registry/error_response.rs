//! Error responses of a registry.

use std::time::Duration;

use reqwest::{Response, StatusCode};
use serde::Deserialize;

use crate::release::ReleaseError;
use crate::source::registry::http::HttpClient;

const MAX_BODY_BYTES: u64 = 64 << 10;

/// The codes of the specification. No other text of a registry is ever shown.
const KNOWN_CODES: [&str; 16] = [
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
struct ErrorBody {
    errors: Vec<ErrorEntry>,
}

#[derive(Deserialize)]
struct ErrorEntry {
    code: String,
}

/// Returns the first known code of a response, if it arrives within `limit`.
pub(super) async fn read_code(
    http: &HttpClient,
    response: Response,
    limit: Duration,
) -> Option<&'static str> {
    let body = http.read_bounded(response, "an answer", MAX_BODY_BYTES);
    let bytes = tokio::time::timeout(limit, body).await.ok()?.ok()?;
    let body: ErrorBody = serde_json::from_slice(&bytes).ok()?;
    body.errors.iter().find_map(|entry| KNOWN_CODES.iter().copied().find(|code| *code == entry.code))
}

/// Converts an error status.
pub(super) fn from_status(
    location: String,
    what: String,
    status: StatusCode,
    code: Option<&'static str>,
) -> ReleaseError {
    match status {
        StatusCode::UNAUTHORIZED => {
            ReleaseError::Unauthorized { location, detail: "the credentials are missing or wrong".to_owned() }
        }
        StatusCode::TOO_MANY_REQUESTS => ReleaseError::Throttled { location },
        StatusCode::PAYLOAD_TOO_LARGE | StatusCode::INSUFFICIENT_STORAGE => {
            ReleaseError::Full { location, what, status: status.as_u16() }
        }
        StatusCode::NOT_IMPLEMENTED => {
            ReleaseError::Refused { location, what, status: status.as_u16(), code }
        }
        status if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT => {
            ReleaseError::Unreachable { location, detail: format!("HTTP status {}", status.as_u16()) }
        }
        status => ReleaseError::Refused { location, what, status: status.as_u16(), code },
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
    fn statuses_become_errors(#[case] status: u16, #[case] name: &str, #[case] is_transient: bool) {
        let status = StatusCode::from_u16(status).unwrap();
        let error = from_status("registry r".to_owned(), "a blob".to_owned(), status, Some("DENIED"));
        assert_eq!((error.as_str(), error.is_transient()), (name, is_transient));
    }
}
