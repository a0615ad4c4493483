//! The answer to a client.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::json;
use crate::reason::Reason;
use crate::worker::Usage;

/// The status of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Whether the status code is 200.
    pub ok: bool,
    /// The status code.
    pub status_code: u16,
    /// What happened, in words. For a limit: the limit and the use.
    pub message: String,
    /// One line that explains the reason; absent if `ok`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The stable name of the reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The times of a request, in milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// When the router received the request.
    pub start_time: u64,
    /// When the router answered.
    pub end_time: u64,
    /// The time between, on a monotonic clock: not always the difference of the two.
    pub duration_milliseconds: u64,
}

/// The router's own fields of an answer's context.
#[derive(Debug, Clone)]
pub struct RouterContext<'a> {
    /// The id that the client gave.
    pub id: Option<&'a str>,
    /// The times of the request.
    pub timing: Timing,
    /// The worker that ran the job.
    pub worker: Option<&'a str>,
    /// The number of the attempt that gave the answer, from 1.
    pub attempt: Option<u32>,
    /// The resources that the job used.
    pub usage: Option<&'a Usage>,
    /// Whether the answer is a stored one. Absent if not.
    pub replayed: bool,
    /// Details of an error.
    pub error_detail: Option<&'a str>,
}

/// Appends an answer to `out`. `response` and `context` are JSON that passes through unchanged. `context` is an object; the
/// router's own fields follow its fields, so that they win. An empty `message` becomes the reason's own line.
///
/// # Errors
/// If `response` or `context` is not JSON, or `context` is not an object. `out` then ends with a partial answer.
pub fn write(
    reason: Reason,
    message: &str,
    response: Option<&[u8]>,
    context: Option<&[u8]>,
    router: &RouterContext<'_>,
    out: &mut Vec<u8>,
) -> Result<(), serde_json::Error> {
    out.extend_from_slice(b"{\"status\":");
    write_status(reason, message, out);
    if let Some(response) = response {
        out.extend_from_slice(b",\"response\":");
        out.extend_from_slice(value(response)?.as_bytes());
    }
    let own = context.map(fields).transpose()?.unwrap_or_default();
    out.extend_from_slice(b",\"context\":{");
    if !own.is_empty() {
        out.extend_from_slice(own.as_bytes());
        out.push(b',');
    }
    router.write_fields(out);
    out.push(b'}');
    Ok(())
}

/// Writes the status. An empty message becomes the reason's own line.
fn write_status(reason: Reason, message: &str, out: &mut Vec<u8>) {
    let (ok, status_code) = (&reason.is_ok(), &reason.code());
    let message = if message.is_empty() { reason.text() } else { message };
    let error = &(!reason.is_ok()).then(|| reason.text());
    let reason = reason.as_str();
    json::object!(out, ok, status_code, message, error, reason);
}

json::write_as_object!(Timing { start_time, end_time, duration_milliseconds });

impl RouterContext<'_> {
    /// Writes the fields, and the brace that ends the context.
    fn write_fields(&self, out: &mut Vec<u8>) {
        let Self { id, timing, worker, attempt, usage, replayed, error_detail } = self;
        let replayed = &replayed.then_some(true);
        json::fields!(out, id, timing, worker, attempt, usage, replayed, error_detail);
    }
}

/// Returns the text of one JSON value, without surrounding whitespace.
fn value(bytes: &[u8]) -> Result<&str, serde_json::Error> {
    match std::str::from_utf8(bytes) {
        Ok(text) if json::is_value(text) => Ok(text.trim_ascii()),
        _ => serde_json::from_slice(bytes).map(RawValue::get),
    }
}

/// Returns the text between the braces of a JSON object.
fn fields(object: &[u8]) -> Result<&str, serde_json::Error> {
    let inner = value(object)?.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    let inner = inner
        .ok_or_else(|| <serde_json::Error as serde::de::Error>::custom("the context is not an object"))?;
    Ok(inner.trim())
}

/// An answer, as the client of this crate reads it.
#[derive(Debug, Clone, Deserialize)]
pub struct Answer {
    /// The status of the request.
    pub status: Status,
    /// The output of the container, or the response of the action.
    #[serde(default)]
    pub response: serde_json::Value,
    /// The times, the job's id, and how it ran.
    #[serde(default)]
    pub context: serde_json::Value,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn router() -> RouterContext<'static> {
        RouterContext {
            id: Some("42"),
            timing: Timing { start_time: 1, end_time: 3, duration_milliseconds: 2 },
            worker: Some("w"),
            attempt: Some(1),
            usage: None,
            replayed: false,
            error_detail: None,
        }
    }

    fn written(response: Option<&[u8]>, context: Option<&[u8]>) -> Answer {
        let mut out = Vec::new();
        write(Reason::Ok, "", response, context, &router(), &mut out).unwrap();
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn parts_are_joined() {
        let answer = written(Some(b" {\"version\": 2} "), Some(b"{\"exit_status\": 0}"));
        assert_eq!(answer.response["version"], 2);
        assert_eq!(answer.context["exit_status"], 0);
        assert_eq!(answer.context["timing"]["duration_milliseconds"], 2);
    }

    #[test]
    fn context_may_be_empty_or_absent() {
        assert_eq!(written(None, Some(b"{ }")).context["id"], "42");
        assert_eq!(written(None, None).context["id"], "42");
    }

    #[test]
    fn router_fields_win() {
        assert_eq!(written(None, Some(b"{\"worker\": \"liar\"}")).context["worker"], "w");
    }

    #[test]
    fn invalid_json_is_refused() {
        for (response, context) in
            [(Some(b"{".as_slice()), None), (None, Some(b"[]".as_slice())), (Some(b""), None)]
        {
            assert!(write(Reason::Ok, "", response, context, &router(), &mut Vec::new()).is_err());
        }
    }

    #[test]
    fn error_has_line_and_name() {
        let mut status = Vec::new();
        write_status(Reason::NoWorker, "no worker serves ruby", &mut status);
        let status: Status = serde_json::from_slice(&status).unwrap();
        insta::assert_json_snapshot!(status);
    }
}
