//! The set of deployed versions: channel, then track, then the versions in the order in which they were deployed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use trackyard_protocol::channel::Channel;
use trackyard_protocol::name::TrackSlug;
use trackyard_protocol::request::Place;
use trackyard_protocol::version::{ContainerVersion, Digest, PinnedVersion};

use crate::dispatch::{Deployment, Snapshot};

/// The deployed versions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Deployed(BTreeMap<Channel, BTreeMap<TrackSlug, Vec<PinnedVersion>>>);

/// A channel and a track, borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlaceRef<'a> {
    /// The channel.
    pub channel: Channel,
    /// The track.
    pub track: &'a TrackSlug,
}

impl PlaceRef<'_> {
    /// The same, owned.
    #[must_use]
    pub fn to_owned(&self) -> Place {
        Place { channel: self.channel, track: self.track.clone() }
    }
}

impl Deployed {
    /// True if no track is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.values().all(BTreeMap::is_empty)
    }

    /// Every track with its versions.
    pub fn iter(&self) -> impl Iterator<Item = (PlaceRef<'_>, &[PinnedVersion])> {
        self.0.iter().flat_map(|(channel, tracks)| {
            tracks
                .iter()
                .map(|(track, versions)| (PlaceRef { channel: *channel, track }, versions.as_slice()))
        })
    }

    /// A track's versions; `None` if the channel has no such track.
    #[must_use]
    pub fn of(&self, place: &Place) -> Option<&[PinnedVersion]> {
        self.0.get(&place.channel)?.get(&place.track).map(Vec::as_slice)
    }

    /// A version with its digest, as it is deployed.
    #[must_use]
    pub fn find(&self, place: &Place, version: &ContainerVersion) -> Option<&PinnedVersion> {
        self.of(place)?.iter().find(|pinned| pinned.version == *version)
    }

    /// The versions that have no digest yet.
    pub fn unresolved(&self) -> impl Iterator<Item = (Place, ContainerVersion)> + '_ {
        self.iter().flat_map(|(place, versions)| {
            versions
                .iter()
                .filter(|pinned| pinned.digest.is_none())
                .map(move |pinned| (place.to_owned(), pinned.version.clone()))
        })
    }

    /// What the dispatcher may give to workers: the versions that have a digest.
    #[must_use]
    pub fn resolved(&self) -> Deployment {
        let of =
            |versions: &[PinnedVersion]| versions.iter().filter(|p| p.digest.is_some()).cloned().collect();
        Deployment(self.iter().map(|(place, versions)| (place.to_owned(), of(versions))).collect())
    }

    /// What the connected workers have ready.
    #[must_use]
    pub fn reported(snapshot: &Snapshot) -> Self {
        let mut reported = Self::default();
        for worker in &snapshot.workers {
            for ready in &worker.ready {
                let place = Place { channel: worker.channel, track: ready.track.clone() };
                reported.deploy(&place, ready.version.clone());
            }
        }
        reported
    }

    /// Adds a track with its versions, or replaces them.
    pub fn add_track(&mut self, channel: Channel, track: TrackSlug, versions: Vec<PinnedVersion>) {
        self.0.entry(channel).or_default().insert(track, versions);
    }

    /// Deploys a version, and makes its track if it is the first. One that is deployed keeps its place and its
    /// digest: what a tag named when it was deployed never changes.
    pub fn deploy(&mut self, place: &Place, pinned: PinnedVersion) {
        let versions = self.0.entry(place.channel).or_default().entry(place.track.clone()).or_default();
        match versions.iter_mut().find(|known| known.version == pinned.version) {
            Some(known) => known.digest = known.digest.take().or(pinned.digest),
            None => versions.push(pinned),
        }
    }

    /// Unloads a version; false if it was not deployed. The track stays, without versions if this was the last.
    pub fn unload(&mut self, place: &Place, version: &ContainerVersion) -> bool {
        let Some(versions) = self.track_mut(place) else { return false };
        let before = versions.len();
        versions.retain(|pinned| pinned.version != *version);
        versions.len() < before
    }

    /// Replaces a track's versions. Those that are deployed keep their place and digest.
    pub fn replace(&mut self, place: &Place, wanted: &[PinnedVersion]) {
        if let Some(versions) = self.track_mut(place) {
            versions.retain(|known| wanted.iter().any(|pinned| pinned.version == known.version));
        } else {
            self.add_track(place.channel, place.track.clone(), Vec::new());
        }
        wanted.iter().for_each(|pinned| self.deploy(place, pinned.clone()));
    }

    /// Notes a version's digest, if it is deployed and has none yet.
    pub fn pin(&mut self, place: &Place, version: &ContainerVersion, digest: &Digest) {
        let known =
            self.track_mut(place).and_then(|versions| versions.iter_mut().find(|p| p.version == *version));
        if let Some(known) = known {
            known.digest.get_or_insert_with(|| digest.clone());
        }
    }

    /// What a client sees: channel, then track, then the versions without digests.
    #[must_use]
    pub fn listing(&self) -> BTreeMap<Channel, BTreeMap<&TrackSlug, Vec<&ContainerVersion>>> {
        let mut listing: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        for (place, versions) in self.iter() {
            let names = versions.iter().map(|pinned| &pinned.version).collect();
            listing.entry(place.channel).or_default().insert(place.track, names);
        }
        listing
    }

    fn track_mut(&mut self, place: &Place) -> Option<&mut Vec<PinnedVersion>> {
        self.0.get_mut(&place.channel)?.get_mut(&place.track)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place { channel: Channel::TestRunners, track: TrackSlug::new("ruby").unwrap() }
    }

    fn version(digit: char, digest: Option<u8>) -> PinnedVersion {
        let version = format!("git-{}", digit.to_string().repeat(40)).parse().unwrap();
        PinnedVersion { version, digest: digest.map(|byte| Digest::from_sha256(&[byte; 32])) }
    }

    #[test]
    fn the_first_version_makes_the_track_and_the_last_leaves_it() {
        let mut deployed = Deployed::default();
        deployed.deploy(&place(), version('a', Some(1)));
        assert_eq!(deployed.of(&place()), Some([version('a', Some(1))].as_slice()));
        assert!(deployed.unload(&place(), &version('a', None).version));
        assert!(!deployed.unload(&place(), &version('a', None).version));
        assert_eq!(deployed.of(&place()), Some([].as_slice()));
    }

    #[test]
    fn a_set_digest_never_changes() {
        let mut deployed = Deployed::default();
        deployed.deploy(&place(), version('a', None));
        assert_eq!(deployed.unresolved().count(), 1);
        deployed.pin(&place(), &version('a', None).version, &Digest::from_sha256(&[1; 32]));
        deployed.pin(&place(), &version('a', None).version, &Digest::from_sha256(&[2; 32]));
        deployed.deploy(&place(), version('a', Some(3)));
        assert_eq!(deployed.of(&place()), Some([version('a', Some(1))].as_slice()));
    }

    #[test]
    fn replacing_keeps_what_stays_and_drops_the_rest() {
        let mut deployed = Deployed::default();
        deployed.replace(&place(), &[version('a', Some(1)), version('b', Some(2))]);
        deployed.replace(&place(), &[version('b', Some(9)), version('c', Some(3))]);
        assert_eq!(deployed.of(&place()), Some([version('b', Some(2)), version('c', Some(3))].as_slice()));
    }
}
