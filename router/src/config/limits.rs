//! Limits by channel and track: each level changes only what it names.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use trackyard_protocol::channel::Channel;
use trackyard_protocol::limits::{LimitOverrides, Limits};
use trackyard_protocol::name::TrackSlug;

use super::error::Refusal;

/// A channel's limits by track; the word `default` stands for all its tracks.
pub type ChannelLimits = BTreeMap<TrackSlug, LimitOverrides>;

/// The word that stands for all tracks of a channel.
const ALL_TRACKS: &str = "default";

/// What the configuration says of limits.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitTable {
    /// For every job.
    #[serde(skip_serializing_if = "is_default")]
    pub default: LimitOverrides,
    /// For test runners.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub test_runners: ChannelLimits,
    /// For static analyzers.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub static_analyzers: ChannelLimits,
    /// For representers.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub representers: ChannelLimits,
}

fn is_default(overrides: &LimitOverrides) -> bool {
    *overrides == LimitOverrides::default()
}

impl LimitTable {
    /// True if nothing is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The limits of a channel's track.
    #[must_use]
    pub fn of(&self, channel: Channel, track: &TrackSlug) -> Limits {
        let mut limits = self.default.over(&Limits::default());
        let by_track = self.channel(channel);
        let all = by_track.iter().find(|(name, _)| name.as_str() == ALL_TRACKS).map(|(_, all)| all);
        for overrides in [all, by_track.get(track)].into_iter().flatten() {
            limits = overrides.over(&limits);
        }
        limits
    }

    fn channel(&self, channel: Channel) -> &ChannelLimits {
        static NONE: ChannelLimits = BTreeMap::new();
        match channel {
            Channel::TestRunners => &self.test_runners,
            Channel::StaticAnalyzers => &self.static_analyzers,
            Channel::Representers => &self.representers,
            Channel::Builders => &NONE,
        }
    }

    /// Refuses limits with which no job could run.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        for channel in Channel::TOOLING {
            for track in self.channel(channel).keys() {
                self.of(channel, track).check().map_err(|why| refusal(&format!("{channel}.{track}"), why))?;
            }
        }
        self.default.over(&Limits::default()).check().map_err(|why| refusal("default", why))
    }
}

fn refusal(tooling: &str, why: &str) -> Refusal {
    Refusal::new(format!("limits.{tooling}: {why}"))
}
