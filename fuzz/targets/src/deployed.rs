//! Sequences of deploys, unloads, updates and lookups.

use std::collections::BTreeMap;

use arbitrary::Unstructured;
use trackyard_protocol::channel::Channel;
use trackyard_protocol::name::TrackSlug;
use trackyard_protocol::request::Tooling;
use trackyard_protocol::version::{Digest, PinnedVersion};
use trackyard_router::deployed::Deployed;

/// A version is listed once, keeps its digest, and survives writing to a file and reading it again.
pub fn run(bytes: &[u8]) {
    let mut input = Unstructured::new(bytes);
    let mut deployed = Deployed::default();
    let mut before: BTreeMap<(Tooling, String), Option<Digest>> = BTreeMap::new();
    while !input.is_empty() && change(&mut deployed, &mut input).is_ok() {
        let now: BTreeMap<_, _> = deployed
            .iter()
            .flat_map(|(track, versions)| versions.iter().map(move |version| (track.to_tooling(), version)))
            .map(|(tooling, pinned)| ((tooling, pinned.version.to_string()), pinned.digest.clone()))
            .collect();
        let listed = deployed.iter().map(|(_, versions)| versions.len()).sum::<usize>();
        assert_eq!(now.len(), listed, "no version is listed twice");
        for (version, digest) in &before {
            let kept = now.get(version).is_none_or(|now| digest.is_none() || now == digest);
            assert!(kept, "{version:?} had a digest and has another one");
        }
        before = now;
    }
    let text = serde_yaml::to_string(&deployed).expect("versions can be written");
    assert_eq!(serde_yaml::from_str::<Deployed>(&text).ok(), Some(deployed), "{text}");
}

fn change(deployed: &mut Deployed, input: &mut Unstructured<'_>) -> arbitrary::Result<()> {
    let channel = *input.choose(&Channel::TOOLING)?;
    let track = TrackSlug::new(input.choose(&["ruby", "c", "on"])?).expect("it is a slug");
    let tooling = Tooling { channel, track };
    let pinned = pinned(input)?;
    match input.int_in_range(0..=3)? {
        0 => deployed.deploy(&tooling, pinned),
        1 => drop(deployed.unload(&tooling, &pinned.version)),
        2 => deployed.replace(&tooling, &[pinned, self::pinned(input)?]),
        _ => deployed.pin(&tooling, &pinned.version, &digest(input.arbitrary()?)),
    }
    Ok(())
}

fn pinned(input: &mut Unstructured<'_>) -> arbitrary::Result<PinnedVersion> {
    let version = format!("git-{:040x}", input.int_in_range(0..=3)?).parse().expect("it is a version");
    Ok(PinnedVersion { version, digest: input.arbitrary::<Option<u8>>()?.map(digest) })
}

fn digest(byte: u8) -> Digest {
    Digest::from_sha256(&[byte; 32])
}
