//! What a client gets back.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::reason::Reason;
use crate::worker::Usage;

/// How a request ended, as the client reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// True for 200 only.
    pub ok: bool,
    /// The status code.
    pub status_code: u16,
    /// What happened, for people: for a limit, the limit and the use.
    pub message: String,
    /// One line of the reason; absent when `ok`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The reason's stable word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Status {
    /// The status of a reason. An empty message becomes the reason's own line.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            ok: reason.is_ok(),
            status_code: reason.code(),
            message: if message.is_empty() { reason.text().to_owned() } else { message },
            error: (!reason.is_ok()).then(|| reason.text().to_owned()),
            reason: Some(reason.word().to_owned()),
        }
    }
}

/// Milliseconds since the epoch, and between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// When the router had the request.
    pub start_time: u64,
    /// When it answered.
    pub end_time: u64,
    /// Measured on a monotonic clock, so not always the difference.
    pub duration_milliseconds: u64,
}

/// What the router knows of a request: the last part of an answer's context.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RouterContext {
    /// The client's id of the job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// When, and how long.
    pub timing: Timing,
    /// The worker that ran the job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// Which attempt gave the answer, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// What the job used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// Present and true if the answer is a stored one.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub replayed: bool,
    /// More on an error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_detail: Option<String>,
}

/// Writes an answer. `response` and `context` are JSON texts that pass through as they are; `context` is an object,
/// and the router's own fields come after its fields, so that they win.
///
/// # Errors
/// If `response` or `context` is not JSON, or `context` is not an object.
pub fn write(
    status: &Status,
    response: Option<&[u8]>,
    context: Option<&[u8]>,
    router: &RouterContext,
) -> Result<Vec<u8>, serde_json::Error> {
    let mut out = Vec::with_capacity(512 + response.map_or(0, <[u8]>::len) + context.map_or(0, <[u8]>::len));
    out.extend_from_slice(b"{\"status\":");
    serde_json::to_writer(&mut out, status)?;
    if let Some(response) = response {
        let raw: &RawValue = serde_json::from_slice(response)?;
        out.extend_from_slice(b",\"response\":");
        out.extend_from_slice(raw.get().as_bytes());
    }
    out.extend_from_slice(b",\"context\":");
    write_context(&mut out, context, router)?;
    out.push(b'}');
    Ok(out)
}

fn write_context(
    out: &mut Vec<u8>,
    context: Option<&[u8]>,
    router: &RouterContext,
) -> Result<(), serde_json::Error> {
    let mut own = serde_json::to_vec(router)?;
    let Some(context) = context else {
        out.append(&mut own);
        return Ok(());
    };
    let raw: &RawValue = serde_json::from_slice(context)?;
    let fields = raw
        .get()
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'))
        .ok_or_else(|| <serde_json::Error as serde::de::Error>::custom("the context is not an object"))?;
    out.push(b'{');
    if !fields.trim().is_empty() {
        out.extend_from_slice(fields.as_bytes());
        out.push(b',');
    }
    out.extend_from_slice(own.get(1..).unwrap_or_default());
    Ok(())
}

/// An answer, as the Rust client reads it.
#[derive(Debug, Clone, Deserialize)]
pub struct Answer {
    /// How the request ended.
    pub status: Status,
    /// What the container wrote, or what the action gives.
    #[serde(default)]
    pub response: serde_json::Value,
    /// Timing, the job's id and how it ran.
    #[serde(default)]
    pub context: serde_json::Value,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn router() -> RouterContext {
        RouterContext {
            id: Some("42".to_owned()),
            timing: Timing { start_time: 1, end_time: 3, duration_milliseconds: 2 },
            worker: Some("w".to_owned()),
            attempt: Some(1),
            usage: None,
            replayed: false,
            error_detail: None,
        }
    }

    fn written(response: Option<&[u8]>, context: Option<&[u8]>) -> Answer {
        let bytes = write(&Status::new(Reason::Ok, ""), response, context, &router()).unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    #[test]
    fn the_parts_are_joined() {
        let answer = written(Some(b" {\"version\": 2} "), Some(b"{\"exit_status\": 0}"));
        assert_eq!(answer.response["version"], 2);
        assert_eq!(answer.context["exit_status"], 0);
        assert_eq!(answer.context["timing"]["duration_milliseconds"], 2);
    }

    #[test]
    fn a_context_may_be_empty_or_absent() {
        assert_eq!(written(None, Some(b"{ }")).context["id"], "42");
        assert_eq!(written(None, None).context["id"], "42");
    }

    #[test]
    fn the_routers_own_fields_win() {
        assert_eq!(written(None, Some(b"{\"worker\": \"liar\"}")).context["worker"], "w");
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for (response, context) in
            [(Some(b"{".as_slice()), None), (None, Some(b"[]".as_slice())), (Some(b""), None)]
        {
            assert!(write(&Status::new(Reason::Ok, ""), response, context, &router()).is_err());
        }
    }

    #[test]
    fn an_error_has_its_line_and_word() {
        let status = Status::new(Reason::NoWorker, "no worker serves ruby");
        insta::assert_json_snapshot!(status);
    }
}
