//! Channels (the kinds of work) and topics (what a worker is scoped to).

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::json::write_as_plain_text;
use crate::name::{self, TrackSlug};
use crate::text::as_text;

/// The kind of work.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumIter,
    strum::EnumString,
    strum::IntoStaticStr,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Channel {
    /// Runs submissions' tests.
    TestRunners,
    /// Comments on submissions.
    StaticAnalyzers,
    /// Normalises submissions.
    Representers,
    /// Builds container versions from git.
    Builders,
}

impl Channel {
    /// The channels whose jobs run a track's container, in a fixed order.
    pub const TOOLING: [Self; 3] = [Self::TestRunners, Self::StaticAnalyzers, Self::Representers];

    /// Returns the channel's name, as in messages and configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

write_as_plain_text!(Channel);

/// What a worker is scoped to: one track, or `*` for all tracks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// All tracks, written `*`.
    Any,
    /// One track.
    Track(TrackSlug),
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Track(track) => track.fmt(f),
        }
    }
}

impl std::str::FromStr for Topic {
    type Err = name::Error;
    fn from_str(value: &str) -> Result<Self, name::Error> {
        if value == "*" { Ok(Self::Any) } else { TrackSlug::new(value).map(Self::Track) }
    }
}

as_text!(Topic);

/// The topics of a worker; never empty, and `*` by default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "BTreeSet<Topic>", into = "BTreeSet<Topic>")]
pub struct Topics(BTreeSet<Topic>);

impl Topics {
    /// Returns the topics of a generic worker.
    #[must_use]
    pub fn any() -> Self {
        Self(BTreeSet::from([Topic::Any]))
    }

    /// Returns whether the worker is scoped to `track` by name.
    #[must_use]
    pub fn names(&self, track: &TrackSlug) -> bool {
        self.0.iter().any(|topic| matches!(topic, Topic::Track(own) if own == track))
    }

    /// Returns whether the worker takes all tracks.
    #[must_use]
    pub fn is_generic(&self) -> bool {
        self.0.contains(&Topic::Any)
    }

    /// Returns whether the worker serves `track`, by name or as a generic worker.
    #[must_use]
    pub fn covers(&self, track: &TrackSlug) -> bool {
        self.is_generic() || self.names(track)
    }

    /// Iterates over the topics in order.
    pub fn iter(&self) -> impl Iterator<Item = &Topic> {
        self.0.iter()
    }
}

impl From<BTreeSet<Topic>> for Topics {
    fn from(topics: BTreeSet<Topic>) -> Self {
        if topics.is_empty() { Self::any() } else { Self(topics) }
    }
}

impl From<Topics> for BTreeSet<Topic> {
    fn from(topics: Topics) -> Self {
        topics.0
    }
}

impl FromIterator<Topic> for Topics {
    fn from_iter<I: IntoIterator<Item = Topic>>(topics: I) -> Self {
        topics.into_iter().collect::<BTreeSet<_>>().into()
    }
}

impl fmt::Display for Topics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let topics: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&topics.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_topic_means_generic() {
        let topics: Topics = serde_json::from_str("[]").unwrap();
        assert!(topics.is_generic());
    }

    #[test]
    fn scoped_worker_covers_only_its_tracks() {
        let topics: Topics = ["ruby", "python"].iter().map(|t| t.parse().unwrap()).collect();
        assert!(topics.covers(&TrackSlug::new("ruby").unwrap()));
        assert!(!topics.covers(&TrackSlug::new("csharp").unwrap()));
        assert_eq!(topics.to_string(), "python,ruby");
    }

    #[test]
    fn channels_have_the_original_names() {
        assert_eq!(Channel::StaticAnalyzers.as_str(), "static_analyzers");
        assert_eq!("test_runners".parse(), Ok(Channel::TestRunners));
    }
}
