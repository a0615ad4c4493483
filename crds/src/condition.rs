//! The conditions of a status.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// The new state of one condition.
#[derive(Debug, Clone)]
pub struct ConditionUpdate {
    is_true: bool,
    reason: &'static str,
    message: String,
}

impl ConditionUpdate {
    /// Sets a condition to `True` or `False`, without a message.
    #[must_use]
    pub const fn new(is_true: bool, reason: &'static str) -> Self {
        Self { is_true, reason, message: String::new() }
    }

    /// Adds a message.
    #[must_use]
    pub fn with_message(self, message: impl Into<String>) -> Self {
        Self { message: message.into(), ..self }
    }

    /// Returns the message; empty if there is none.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Returns the condition of type `kind`. Its transition time is `now` only if its status differs from the one in `before`.
    #[must_use]
    pub fn into_condition(
        self,
        kind: &str,
        generation: Option<i64>,
        before: &[Condition],
        now: &Time,
    ) -> Condition {
        let status = if self.is_true { "True" } else { "False" };
        let same = before.iter().find(|condition| condition.type_ == kind && condition.status == status);
        Condition {
            type_: kind.to_owned(),
            status: status.to_owned(),
            reason: self.reason.to_owned(),
            message: self.message,
            observed_generation: generation,
            last_transition_time: same.map_or_else(|| now.clone(), |same| same.last_transition_time.clone()),
        }
    }
}
