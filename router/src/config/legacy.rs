//! The legacy form of the original platform: `workers: {<channel>: {shared_queue, <track>: {queue, worker_versions}}}`.
//! The ports are ignored, because workers share one; the versions are kept.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use trackyard_protocol::channel::Channel;
use trackyard_protocol::name::TrackSlug;
use trackyard_protocol::version::PinnedVersion;

/// The section `workers`.
pub(super) type Workers = BTreeMap<Channel, ChannelWorkers>;

/// The tracks of one channel.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct ChannelWorkers(pub(super) BTreeMap<TrackSlug, TrackWorkers>);

/// The versions of one track.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TrackWorkers {
    #[serde(default, rename = "queue")]
    _queue: IgnoredPort,
    /// The versions, oldest first.
    #[serde(default)]
    pub(super) worker_versions: Option<Vec<PinnedVersion>>,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct IgnoredPort;

impl<'de> Deserialize<'de> for IgnoredPort {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

impl<'de> Deserialize<'de> for ChannelWorkers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Tracks)
    }
}

struct Tracks;

impl<'de> Visitor<'de> for Tracks {
    type Value = ChannelWorkers;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping of tracks, with shared_queue")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<ChannelWorkers, A::Error> {
        let mut tracks = BTreeMap::new();
        while let Some(key) = entries.next_key::<TrackSlug>()? {
            if key.as_str() == "shared_queue" {
                entries.next_value::<IgnoredAny>()?;
            } else {
                tracks.insert(key, entries.next_value()?);
            }
        }
        Ok(ChannelWorkers(tracks))
    }
}
