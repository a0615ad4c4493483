//! Requests of a client, and checks of their answers.

use serde_json::{Value, json};
use trackyard_protocol::answer::Answer;

/// Returns a request for a job of the test runners' channel.
#[must_use]
pub fn test_solution(id: &str, track: &str, uri: &str, version: &str) -> Value {
    json!({
        "action": "test_solution", "id": id, "track_slug": track, "exercise_slug": "two-fer",
        "s3_uri": uri, "container_version": version,
    })
}

/// Returns the request with one more field.
///
/// # Panics
/// When the request is not an object.
#[must_use]
pub fn with(mut request: Value, field: &str, value: Value) -> Value {
    request.as_object_mut().expect("a request").insert(field.to_owned(), value);
    request
}

/// Returns an answer's status code and reason.
#[must_use]
pub fn verdict(answer: &Answer) -> (u16, &str) {
    (answer.status.status_code, answer.status.reason.as_deref().unwrap_or_default())
}

/// Fails the test unless the answer has this status code and reason.
///
/// # Panics
/// When it has another one.
pub fn expect(answer: &Answer, code: u16, reason: &str) {
    assert_eq!(
        verdict(answer),
        (code, reason),
        "{:?}\n{:#}\n{:#}",
        answer.status,
        answer.response,
        answer.context
    );
}

/// Returns the container version `git-<digit × 40>`.
#[must_use]
pub fn version(digit: char) -> String {
    format!("git-{}", digit.to_string().repeat(40))
}

/// Returns a version with a digest that no image has, for workers that run nothing.
#[must_use]
pub fn pinned(digit: char) -> String {
    format!("{}@sha256:{}", version(digit), digit.to_string().repeat(64))
}
