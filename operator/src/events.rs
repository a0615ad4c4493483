//! What users read in `kubectl describe` and `kubectl events`: every reason is here. A Warning is something that a person
//! should look at.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::runtime::events::{Event, EventType};

/// What has happened.
#[derive(Debug, Clone, PartialEq, Eq, strum::IntoStaticStr, strum::VariantNames)]
pub enum Happened {
    /// A pool got more pods by the router's figures.
    ScaledUp {
        /// Pods before.
        from: u32,
        /// Pods now.
        to: u32,
    },
    /// A pool got fewer pods by the router's figures. Apart from the other: of the same reason the first note stays.
    ScaledDown {
        /// Pods before.
        from: u32,
        /// Pods now.
        to: u32,
    },
    /// It is ready.
    Ready,
    /// It will not be ready unless something is changed.
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
    /// A worker cannot have a version.
    Failed {
        /// The condition's message.
        why: String,
    },
}

impl Happened {
    /// A pool got another number of pods.
    #[must_use]
    pub const fn scaled(from: u32, to: u32) -> Self {
        if to > from { Self::ScaledUp { from, to } } else { Self::ScaledDown { from, to } }
    }

    /// As the API server takes it.
    #[must_use]
    pub fn event(&self) -> Event {
        let (type_, action, note) = match self {
            Self::ScaledUp { from, to } | Self::ScaledDown { from, to } => {
                (EventType::Normal, "Scale", format!("from {from} to {to} pods"))
            }
            Self::Ready => (EventType::Normal, "Reconcile", "it is ready".to_owned()),
            Self::Built => (EventType::Normal, "Build", "it is built".to_owned()),
            Self::BuildFailed { why } => (EventType::Warning, "Build", why.clone()),
            Self::Stalled { why } | Self::Failed { why } => (EventType::Warning, "Reconcile", why.clone()),
        };
        let reason: &str = self.into();
        // The API server takes a thousand bytes.
        let note = note.chars().take(250).collect();
        Event {
            type_,
            action: action.to_owned(),
            reason: reason.to_owned(),
            note: Some(note),
            secondary: None,
        }
    }
}

/// What turned from one list of conditions to the next.
#[must_use]
pub fn turned(before: &[Condition], after: &[Condition]) -> Vec<Happened> {
    after.iter().filter(|condition| !was(before, condition)).filter_map(happened).collect()
}

fn was(before: &[Condition], condition: &Condition) -> bool {
    before.iter().any(|old| {
        (&old.type_, &old.status, &old.reason) == (&condition.type_, &condition.status, &condition.reason)
    })
}

fn happened(condition: &Condition) -> Option<Happened> {
    let why = || match condition.message.as_str() {
        "" => condition.reason.clone(),
        message => format!("{}: {message}", condition.reason),
    };
    match (condition.type_.as_str(), condition.status.as_str(), condition.reason.as_str()) {
        ("Ready", "True", _) => Some(Happened::Ready),
        ("Stalled", "True", _) => Some(Happened::Stalled { why: why() }),
        ("Built", "True", _) => Some(Happened::Built),
        ("Built", "False", "BuildFailed") => Some(Happened::BuildFailed { why: condition.message.clone() }),
        ("Ready", "False", "Failed") => Some(Happened::Failed { why: condition.message.clone() }),
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
    #[case::nothing_new(&[("Ready", "True", "AllReady")], &[("Ready", "True", "AllReady")], &[])]
    #[case::ready(&[("Ready", "False", "Progressing")], &[("Ready", "True", "AllReady")], &[Happened::Ready])]
    #[case::new(&[], &[("Ready", "False", "Progressing"), ("Stalled", "False", "Progressing")], &[])]
    #[case::stalled(
        &[("Stalled", "False", "X")], &[("Stalled", "True", "QuotaExceeded")],
        &[Happened::Stalled { why: "QuotaExceeded: why".to_owned() }]
    )]
    #[case::built(&[("Built", "False", "Building")], &[("Built", "True", "Built")], &[Happened::Built])]
    #[case::not_built(&[], &[("Built", "False", "BuildFailed")], &[Happened::BuildFailed { why: "why".to_owned() }])]
    #[case::failed(&[], &[("Ready", "False", "Failed")], &[Happened::Failed { why: "why".to_owned() }])]
    fn what_turned(
        #[case] before: &[(&str, &str, &str)],
        #[case] after: &[(&str, &str, &str)],
        #[case] expected: &[Happened],
    ) {
        let conditions = |all: &[(&str, &str, &str)]| all.iter().map(|c| condition(*c)).collect::<Vec<_>>();
        assert_eq!(turned(&conditions(before), &conditions(after)), expected);
    }

    #[test]
    fn every_reason_is_in_the_reference() {
        let reference = include_str!("../../docs/reference.md");
        for reason in Happened::VARIANTS {
            assert!(reference.contains(&format!("\n| `{reason}` | ")), "{reason}");
        }
    }

    #[test]
    fn a_reason_is_one_word_and_a_note_is_bounded() {
        let event = Happened::Stalled { why: "ü".repeat(2000) }.event();
        assert_eq!((event.reason.as_str(), event.type_), ("Stalled", EventType::Warning));
        assert!(event.note.unwrap().len() < 1024);
        assert_eq!(Happened::scaled(0, 2).event().note.as_deref(), Some("from 0 to 2 pods"));
    }
}
