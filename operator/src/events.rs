//! The events that users read in `kubectl describe` and `kubectl events`. A Warning is something that a person should look at.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::runtime::events::{Event, EventType};

/// Maximum length of a note, in characters; the API server accepts 1024 bytes.
const MAX_NOTE_CHARS: usize = 250;

/// An event of a WorkerPool or ContainerVersion. The name of the variant is the event's reason.
#[derive(Debug, Clone, PartialEq, Eq, strum::IntoStaticStr, strum::VariantNames)]
pub enum ObjectEvent {
    /// A pool got more pods, by the router's load report.
    ScaledUp {
        /// Pods before.
        from: u32,
        /// Pods now.
        to: u32,
    },
    /// A pool got fewer pods, by the router's load report. This is a reason of its own because events of the same reason are
    /// merged and keep their first note.
    ScaledDown {
        /// Pods before.
        from: u32,
        /// Pods now.
        to: u32,
    },
    /// The object has become ready.
    Ready,
    /// The object will not become ready unless something is changed.
    Stalled {
        /// The condition's reason and message.
        why: String,
    },
    /// A git reference was built, and is a container version now.
    Built,
    /// A git reference cannot be built.
    BuildFailed {
        /// The condition's message.
        why: String,
    },
    /// A worker cannot prepare a version.
    PrepareFailed {
        /// The condition's message.
        why: String,
    },
}

impl ObjectEvent {
    /// Returns the event of a changed number of pods.
    #[must_use]
    pub const fn scaled(from: u32, to: u32) -> Self {
        if to > from { Self::ScaledUp { from, to } } else { Self::ScaledDown { from, to } }
    }

    /// Returns the Kubernetes event.
    #[must_use]
    pub fn to_event(&self) -> Event {
        let (type_, action, note) = match self {
            Self::ScaledUp { from, to } | Self::ScaledDown { from, to } => {
                (EventType::Normal, "Scale", format!("scaled from {from} to {to} pods"))
            }
            Self::Ready => (EventType::Normal, "Reconcile", "became ready".to_owned()),
            Self::Built => (EventType::Normal, "Build", "built the git reference".to_owned()),
            Self::BuildFailed { why } => (EventType::Warning, "Build", why.clone()),
            Self::Stalled { why } | Self::PrepareFailed { why } => {
                (EventType::Warning, "Reconcile", why.clone())
            }
        };
        let reason: &str = self.into();
        Event {
            type_,
            action: action.to_owned(),
            reason: reason.to_owned(),
            note: Some(note.chars().take(MAX_NOTE_CHARS).collect()),
            secondary: None,
        }
    }
}

/// Returns the events of the conditions that changed between two states of an object.
#[must_use]
pub fn changed(before: &[Condition], after: &[Condition]) -> Vec<ObjectEvent> {
    after.iter().filter(|condition| !contains(before, condition)).filter_map(event_of).collect()
}

fn contains(conditions: &[Condition], condition: &Condition) -> bool {
    conditions.iter().any(|other| {
        (&other.type_, &other.status, &other.reason)
            == (&condition.type_, &condition.status, &condition.reason)
    })
}

fn event_of(condition: &Condition) -> Option<ObjectEvent> {
    let message = condition.message.clone();
    match (condition.type_.as_str(), condition.status.as_str(), condition.reason.as_str()) {
        ("Ready", "True", _) => Some(ObjectEvent::Ready),
        ("Stalled", "True", reason) if message.is_empty() => {
            Some(ObjectEvent::Stalled { why: reason.to_owned() })
        }
        ("Stalled", "True", reason) => Some(ObjectEvent::Stalled { why: format!("{reason}: {message}") }),
        ("Built", "True", _) => Some(ObjectEvent::Built),
        ("Built", "False", "BuildFailed") => Some(ObjectEvent::BuildFailed { why: message }),
        ("Ready", "False", "PrepareFailed") => Some(ObjectEvent::PrepareFailed { why: message }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use k8s_openapi::jiff::Timestamp;
    use rstest::rstest;
    use strum::VariantNames;

    fn condition((kind, status, reason): (&str, &str, &str)) -> Condition {
        Condition {
            type_: kind.to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            message: "why".to_owned(),
            observed_generation: None,
            last_transition_time: Time(Timestamp::UNIX_EPOCH),
        }
    }

    #[rstest]
    #[case::unchanged(&[("Ready", "True", "AllReady")], &[("Ready", "True", "AllReady")], &[])]
    #[case::ready(&[("Ready", "False", "Progressing")], &[("Ready", "True", "AllReady")], &[ObjectEvent::Ready])]
    #[case::new_object(&[], &[("Ready", "False", "Progressing"), ("Stalled", "False", "Progressing")], &[])]
    #[case::stalled(
        &[("Stalled", "False", "X")], &[("Stalled", "True", "QuotaExceeded")],
        &[ObjectEvent::Stalled { why: "QuotaExceeded: why".to_owned() }]
    )]
    #[case::built(&[("Built", "False", "Building")], &[("Built", "True", "Built")], &[ObjectEvent::Built])]
    #[case::build_failed(
        &[], &[("Built", "False", "BuildFailed")], &[ObjectEvent::BuildFailed { why: "why".to_owned() }]
    )]
    #[case::prepare_failed(
        &[], &[("Ready", "False", "PrepareFailed")], &[ObjectEvent::PrepareFailed { why: "why".to_owned() }]
    )]
    fn changed_conditions_become_events(
        #[case] before: &[(&str, &str, &str)],
        #[case] after: &[(&str, &str, &str)],
        #[case] expected: &[ObjectEvent],
    ) {
        let conditions = |all: &[(&str, &str, &str)]| all.iter().map(|c| condition(*c)).collect::<Vec<_>>();
        assert_eq!(changed(&conditions(before), &conditions(after)), expected);
    }

    #[test]
    fn every_reason_is_in_the_reference() {
        let reference = include_str!("../../docs/reference.md");
        for reason in ObjectEvent::VARIANTS {
            assert!(reference.contains(&format!("\n| `{reason}` | ")), "{reason}");
        }
    }

    #[test]
    fn reason_is_the_variant_and_note_is_bounded() {
        let event = ObjectEvent::Stalled { why: "ü".repeat(2000) }.to_event();
        assert_eq!((event.reason.as_str(), event.type_), ("Stalled", EventType::Warning));
        assert!(event.note.unwrap().len() < 1024);
        let note = ObjectEvent::scaled(0, 2).to_event().note;
        assert_eq!(note.as_deref(), Some("scaled from 0 to 2 pods"));
    }
}
