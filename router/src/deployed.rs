//! The set of deployed versions, by channel and track, in the order in which they were deployed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use trackyard_protocol::channel::Channel;
use trackyard_protocol::name::TrackSlug;
use trackyard_protocol::request::Tooling;
use trackyard_protocol::version::{ContainerVersion, Digest, PinnedVersion};

/// The deployed versions of all channels and tracks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Deployed(BTreeMap<Channel, BTreeMap<TrackSlug, Vec<PinnedVersion>>>);

/// A channel and a track, borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ToolingRef<'a> {
    /// The channel.
    pub channel: Channel,
    /// The track.
    pub track: &'a TrackSlug,
}

impl ToolingRef<'_> {
    /// Returns the owned form.
    #[must_use]
    pub fn to_tooling(&self) -> Tooling {
        Tooling { channel: self.channel, track: self.track.clone() }
    }
}

impl Deployed {
    /// Returns true if there is no track.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.values().all(BTreeMap::is_empty)
    }

    /// Iterates over all tracks and their versions.
    pub fn iter(&self) -> impl Iterator<Item = (ToolingRef<'_>, &[PinnedVersion])> {
        self.0.iter().flat_map(|(channel, tracks)| {
            tracks
                .iter()
                .map(|(track, versions)| (ToolingRef { channel: *channel, track }, versions.as_slice()))
        })
    }

    /// Returns a track's versions; `None` if the channel has no such track.
    #[must_use]
    pub fn of(&self, tooling: &Tooling) -> Option<&[PinnedVersion]> {
        self.0.get(&tooling.channel)?.get(&tooling.track).map(Vec::as_slice)
    }

    /// Returns a deployed version with its digest.
    #[must_use]
    pub fn find(&self, tooling: &Tooling, version: &ContainerVersion) -> Option<&PinnedVersion> {
        self.of(tooling)?.iter().find(|pinned| pinned.version == *version)
    }

    /// Iterates over the versions that have no digest yet.
    pub fn unresolved(&self) -> impl Iterator<Item = (Tooling, ContainerVersion)> + '_ {
        self.iter().flat_map(|(track, versions)| {
            versions
                .iter()
                .filter(|pinned| pinned.digest.is_none())
                .map(move |pinned| (track.to_tooling(), pinned.version.clone()))
        })
    }

    /// Adds a track with its versions, or replaces them.
    pub fn add_track(&mut self, channel: Channel, track: TrackSlug, versions: Vec<PinnedVersion>) {
        self.0.entry(channel).or_default().insert(track, versions);
    }

    /// Deploys a version, and creates its track if the version is the first. A version that is deployed already keeps
    /// its position and its digest: the digest of a tag never changes once it is known.
    pub fn deploy(&mut self, tooling: &Tooling, pinned: PinnedVersion) {
        let versions = self.0.entry(tooling.channel).or_default().entry(tooling.track.clone()).or_default();
        match versions.iter_mut().find(|known| known.version == pinned.version) {
            Some(known) => known.digest = known.digest.take().or(pinned.digest),
            None => versions.push(pinned),
        }
    }

    /// Unloads a version; returns false if it was not deployed. The track stays, even without versions.
    pub fn unload(&mut self, tooling: &Tooling, version: &ContainerVersion) -> bool {
        let Some(versions) = self.track_mut(tooling) else { return false };
        let before = versions.len();
        versions.retain(|pinned| pinned.version != *version);
        versions.len() < before
    }

    /// Replaces a track's versions. Versions that stay keep their position and digest.
    pub fn replace(&mut self, tooling: &Tooling, wanted: &[PinnedVersion]) {
        if let Some(versions) = self.track_mut(tooling) {
            versions.retain(|known| wanted.iter().any(|pinned| pinned.version == known.version));
        } else {
            self.add_track(tooling.channel, tooling.track.clone(), Vec::new());
        }
        wanted.iter().for_each(|pinned| self.deploy(tooling, pinned.clone()));
    }

    /// Sets the digest of a deployed version that has none yet.
    pub fn pin(&mut self, tooling: &Tooling, version: &ContainerVersion, digest: &Digest) {
        let known =
            self.track_mut(tooling).and_then(|versions| versions.iter_mut().find(|p| p.version == *version));
        if let Some(known) = known {
            known.digest.get_or_insert_with(|| digest.clone());
        }
    }

    /// Returns what clients see: the versions without digests, by channel and track.
    #[must_use]
    pub fn listing(&self) -> BTreeMap<Channel, BTreeMap<&TrackSlug, Vec<&ContainerVersion>>> {
        let mut listing: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        for (tooling, versions) in self.iter() {
            let names = versions.iter().map(|pinned| &pinned.version).collect();
            listing.entry(tooling.channel).or_default().insert(tooling.track, names);
        }
        listing
    }

    fn track_mut(&mut self, tooling: &Tooling) -> Option<&mut Vec<PinnedVersion>> {
        self.0.get_mut(&tooling.channel)?.get_mut(&tooling.track)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tooling() -> Tooling {
        Tooling { channel: Channel::TestRunners, track: TrackSlug::new("ruby").unwrap() }
    }

    fn version(digit: char, digest: Option<u8>) -> PinnedVersion {
        let version = format!("git-{}", digit.to_string().repeat(40)).parse().unwrap();
        PinnedVersion { version, digest: digest.map(|byte| Digest::from_sha256(&[byte; 32])) }
    }

    #[test]
    fn track_outlives_its_last_version() {
        let mut deployed = Deployed::default();
        deployed.deploy(&tooling(), version('a', Some(1)));
        assert_eq!(deployed.of(&tooling()), Some([version('a', Some(1))].as_slice()));
        assert!(deployed.unload(&tooling(), &version('a', None).version));
        assert!(!deployed.unload(&tooling(), &version('a', None).version));
        assert_eq!(deployed.of(&tooling()), Some([].as_slice()));
    }

    #[test]
    fn known_digest_never_changes() {
        let mut deployed = Deployed::default();
        deployed.deploy(&tooling(), version('a', None));
        assert_eq!(deployed.unresolved().count(), 1);
        deployed.pin(&tooling(), &version('a', None).version, &Digest::from_sha256(&[1; 32]));
        deployed.pin(&tooling(), &version('a', None).version, &Digest::from_sha256(&[2; 32]));
        deployed.deploy(&tooling(), version('a', Some(3)));
        assert_eq!(deployed.of(&tooling()), Some([version('a', Some(1))].as_slice()));
    }

    #[test]
    fn replace_keeps_order_and_digests() {
        let mut deployed = Deployed::default();
        deployed.replace(&tooling(), &[version('a', Some(1)), version('b', Some(2))]);
        deployed.replace(&tooling(), &[version('b', Some(9)), version('c', Some(3))]);
        assert_eq!(deployed.of(&tooling()), Some([version('b', Some(2)), version('c', Some(3))].as_slice()));
    }
}
