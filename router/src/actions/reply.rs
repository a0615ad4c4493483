//! Answers of the router itself.

use serde::Serialize;
use trackyard_protocol::reason::Reason;
use trackyard_protocol::request::Refusal;

/// An answer of the router itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The reason, which also gives the status code.
    pub reason: Reason,
    /// The message; empty if that of the reason says it all.
    pub message: String,
    /// The response, as JSON.
    pub response: Option<Vec<u8>>,
}

impl Reply {
    /// Returns an error without a response.
    pub fn error(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), response: None }
    }

    /// Returns success with a response.
    pub fn ok(response: &impl Serialize) -> Self {
        match serde_json::to_vec(response) {
            Ok(response) => Self { reason: Reason::Ok, message: String::new(), response: Some(response) },
            Err(error) => Self::error(Reason::RouterInternal, format!("cannot write the answer: {error}")),
        }
    }
}

impl From<Refusal> for Reply {
    fn from(refusal: Refusal) -> Self {
        Self::error(refusal.reason, refusal.message)
    }
}
