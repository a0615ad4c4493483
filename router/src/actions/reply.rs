//! An answer that no worker gives.

use serde::Serialize;
use trackyard_protocol::reason::Reason;
use trackyard_protocol::request::Refusal;

/// An answer that no worker gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// How the request ended.
    pub reason: Reason,
    /// What happened; empty when the reason's own line says it all.
    pub message: String,
    /// The response, as JSON.
    pub response: Option<Vec<u8>>,
}

impl Reply {
    /// An error.
    pub fn error(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), response: None }
    }

    /// A response.
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
