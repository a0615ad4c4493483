//! One condition, and whether it has changed.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// What a condition is to say.
pub(crate) struct Told {
    is_true: bool,
    reason: &'static str,
    message: String,
}

impl Told {
    pub(crate) const fn yes(reason: &'static str) -> Self {
        Self { is_true: true, reason, message: String::new() }
    }

    pub(crate) const fn no(reason: &'static str) -> Self {
        Self { is_true: false, reason, message: String::new() }
    }

    pub(crate) fn of(is_true: bool, reason: &'static str, message: &str) -> Self {
        Self { is_true, reason, message: message.to_owned() }
    }

    pub(crate) fn saying(self, message: &str) -> Self {
        Self { message: message.to_owned(), ..self }
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// Its time changes only when it turns.
    pub(crate) fn condition(
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
