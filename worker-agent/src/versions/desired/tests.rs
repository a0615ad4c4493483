use std::collections::BTreeSet;

use trackyard_protocol::channel::Topic;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn version(track: &str, byte: u8) -> TrackVersion {
    let digest = Digest::from_sha256(&[byte; 32]);
    let sha = format!("{byte:02x}").repeat(20);
    TrackVersion { track: track.parse().unwrap(), version: format!("git-{sha}@{digest}").parse().unwrap() }
}

fn digests(versions: &[&TrackVersion]) -> Vec<Digest> {
    versions.iter().filter_map(|version| version.version.digest.clone()).collect()
}

fn failure(is_transient: bool) -> PrepareFailure {
    PrepareFailure { reason: Reason::PullFailed, message: "no".to_owned(), is_transient }
}

fn generic() -> DesiredVersions {
    DesiredVersions::new(Topics::any())
}

fn preparations(actions: &[VersionAction]) -> Vec<&TrackVersion> {
    actions
        .iter()
        .filter_map(|action| if let VersionAction::Prepare(v) = action { Some(v) } else { None })
        .collect()
}

#[test]
fn only_versions_of_the_topics_are_prepared() {
    let topics = Topics::from(BTreeSet::from([Topic::Track("ruby".parse().unwrap())]));
    let mut versions = DesiredVersions::new(topics);
    let (ruby, csharp) = (version("ruby", 1), version("csharp", 2));
    let actions = versions.set_desired(&[csharp, ruby.clone()], Instant::now());
    assert_eq!(actions, [VersionAction::Collect(digests(&[&ruby])), VersionAction::Prepare(ruby)]);
}

#[test]
fn first_versions_are_prepared_first() {
    let now = Instant::now();
    let mut versions = generic();
    let list: Vec<TrackVersion> = (1..=6).rev().map(|n| version("ruby", n)).collect();
    let actions = versions.set_desired(&list, now);
    assert_eq!(preparations(&actions), list.iter().take(MAX_CONCURRENT_PREPARATIONS).collect::<Vec<_>>());
    let actions = versions.on_prepared(&list[1], Ok(()), now);
    assert_eq!(actions, [VersionAction::Ready(list[1].clone()), VersionAction::Prepare(list[4].clone())]);
    assert!(!versions.is_settled());
}

#[test]
fn transient_failures_are_retried_with_backoff() {
    let mut now = Instant::now();
    let mut versions = generic();
    let ruby = version("ruby", 1);
    versions.set_desired(std::slice::from_ref(&ruby), now);
    let mut delays = Vec::new();
    for _ in 0..9 {
        let actions = versions.on_prepared(&ruby, Err(failure(true)), now);
        assert!(matches!(actions.as_slice(), [VersionAction::Failed(failed)] if failed.retrying));
        let next = versions.next_tick().unwrap();
        delays.push((next - now).as_secs());
        assert_eq!(versions.tick(next - SECOND / 1000), []);
        now = next;
        assert_eq!(versions.tick(now), [VersionAction::Prepare(ruby.clone())]);
    }
    assert_eq!(delays, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    assert!(!versions.is_settled());
    versions.on_prepared(&ruby, Ok(()), now);
    assert!(versions.is_settled() && versions.failures().next().is_none());
}

#[test]
fn permanent_failures_are_retried_rarely() {
    let now = Instant::now();
    let mut versions = generic();
    let ruby = version("ruby", 1);
    versions.set_desired(std::slice::from_ref(&ruby), now);
    let actions = versions.on_prepared(&ruby, Err(failure(false)), now);
    assert!(matches!(actions.as_slice(), [VersionAction::Failed(failed)] if !failed.retrying));
    assert!(versions.is_settled());
    assert_eq!(versions.next_tick(), Some(now + PERMANENT_FAILURE_RETRY_INTERVAL));
    assert_eq!(versions.set_desired(std::slice::from_ref(&ruby), now), []);
}

#[test]
fn image_of_an_undesired_version_is_collected() {
    let now = Instant::now();
    let mut versions = generic();
    let (old, new) = (version("ruby", 1), version("ruby", 2));
    versions.set_desired(std::slice::from_ref(&old), now);
    versions.on_prepared(&old, Ok(()), now);
    let actions = versions.set_desired(std::slice::from_ref(&new), now);
    let expected = [
        VersionAction::Gone(old.clone()),
        VersionAction::Collect(digests(&[&new])),
        VersionAction::Prepare(new.clone()),
    ];
    assert_eq!(actions, expected);
    assert_eq!(versions.set_desired(&[old.clone(), new], now), [VersionAction::Prepare(old)]);
}

#[test]
fn version_undesired_during_preparation_is_collected() {
    let now = Instant::now();
    let mut versions = generic();
    let ruby = version("ruby", 1);
    versions.set_desired(std::slice::from_ref(&ruby), now);
    assert_eq!(
        versions.set_desired(&[], now),
        [VersionAction::Gone(ruby.clone()), VersionAction::Collect(digests(&[&ruby]))]
    );
    assert_eq!(versions.on_prepared(&ruby, Ok(()), now), [VersionAction::Collect(Vec::new())]);
}

#[test]
fn version_desired_again_is_not_prepared_twice() {
    let now = Instant::now();
    let mut versions = generic();
    let ruby = version("ruby", 1);
    versions.set_desired(std::slice::from_ref(&ruby), now);
    versions.set_desired(&[], now);
    assert_eq!(versions.set_desired(std::slice::from_ref(&ruby), now), []);
    assert_eq!(versions.on_prepared(&ruby, Ok(()), now), [VersionAction::Ready(ruby)]);
}

#[test]
fn nothing_is_settled_before_the_first_list() {
    let mut versions = generic();
    assert!(!versions.is_settled());
    assert_eq!(versions.set_desired(&[], Instant::now()), [VersionAction::Collect(Vec::new())]);
    assert!(versions.is_settled());
}

#[test]
fn retry_all_ignores_backoff() {
    let now = Instant::now();
    let mut versions = generic();
    let ruby = version("ruby", 1);
    versions.set_desired(std::slice::from_ref(&ruby), now);
    versions.on_prepared(&ruby, Err(failure(false)), now);
    assert_eq!(versions.retry_all(now), [VersionAction::Prepare(ruby)]);
}
