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

fn failure(is_transient: bool) -> Failure {
    Failure { reason: Reason::PullFailed, message: "no".to_owned(), is_transient }
}

fn generic() -> Versions {
    Versions::new(Topics::any())
}

fn preparations(actions: &[Action]) -> Vec<&TrackVersion> {
    actions.iter().filter_map(|action| if let Action::Prepare(v) = action { Some(v) } else { None }).collect()
}

#[test]
fn only_the_topics_versions_are_prepared() {
    let topics = Topics::from(BTreeSet::from([Topic::Track("ruby".parse().unwrap())]));
    let mut versions = Versions::new(topics);
    let (ruby, csharp) = (version("ruby", 1), version("csharp", 2));
    let actions = versions.desire(&[csharp, ruby.clone()], Instant::now());
    assert_eq!(actions, [Action::Collect(digests(&[&ruby])), Action::Prepare(ruby)]);
}

#[test]
fn the_first_wanted_come_first_and_few_at_a_time() {
    let now = Instant::now();
    let mut versions = generic();
    let list: Vec<TrackVersion> = (1..=6).rev().map(|n| version("ruby", n)).collect();
    let actions = versions.desire(&list, now);
    assert_eq!(preparations(&actions), list.iter().take(PARALLEL).collect::<Vec<_>>());
    let actions = versions.prepared(&list[1], Ok(()), now);
    assert_eq!(actions, [Action::Ready(list[1].clone()), Action::Prepare(list[4].clone())]);
    assert!(!versions.is_settled());
}

#[test]
fn a_passing_failure_is_tried_again_with_longer_and_longer_waits() {
    let mut now = Instant::now();
    let mut versions = generic();
    let ruby = version("ruby", 1);
    versions.desire(std::slice::from_ref(&ruby), now);
    let mut waits = Vec::new();
    for _ in 0..9 {
        let actions = versions.prepared(&ruby, Err(failure(true)), now);
        assert!(matches!(actions.as_slice(), [Action::Failed(failed)] if failed.retrying));
        let next = versions.next_tick().unwrap();
        waits.push((next - now).as_secs());
        assert_eq!(versions.tick(next - SECOND / 1000), []);
        now = next;
        assert_eq!(versions.tick(now), [Action::Prepare(ruby.clone())]);
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    assert!(!versions.is_settled());
    versions.prepared(&ruby, Ok(()), now);
    assert!(versions.is_settled() && versions.failures().next().is_none());
}

#[test]
fn a_definitive_failure_settles_and_is_looked_at_again_seldom() {
    let now = Instant::now();
    let mut versions = generic();
    let ruby = version("ruby", 1);
    versions.desire(std::slice::from_ref(&ruby), now);
    let actions = versions.prepared(&ruby, Err(failure(false)), now);
    assert!(matches!(actions.as_slice(), [Action::Failed(failed)] if !failed.retrying));
    assert!(versions.is_settled());
    assert_eq!(versions.next_tick(), Some(now + DEFINITIVE_WAIT));
    assert_eq!(versions.desire(std::slice::from_ref(&ruby), now), []);
}

#[test]
fn a_version_that_is_no_longer_wanted_goes_and_its_image_is_collected() {
    let now = Instant::now();
    let mut versions = generic();
    let (old, new) = (version("ruby", 1), version("ruby", 2));
    versions.desire(std::slice::from_ref(&old), now);
    versions.prepared(&old, Ok(()), now);
    let actions = versions.desire(std::slice::from_ref(&new), now);
    let expected =
        [Action::Gone(old.clone()), Action::Collect(digests(&[&new])), Action::Prepare(new.clone())];
    assert_eq!(actions, expected);
    assert_eq!(versions.desire(&[old.clone(), new], now), [Action::Prepare(old)]);
}

#[test]
fn one_that_is_unwanted_while_it_is_prepared_is_collected_at_its_end() {
    let now = Instant::now();
    let mut versions = generic();
    let ruby = version("ruby", 1);
    versions.desire(std::slice::from_ref(&ruby), now);
    assert_eq!(versions.desire(&[], now), [Action::Gone(ruby.clone()), Action::Collect(digests(&[&ruby]))]);
    assert_eq!(versions.prepared(&ruby, Ok(()), now), [Action::Collect(Vec::new())]);
}

#[test]
fn one_that_is_wanted_again_meanwhile_is_not_prepared_twice() {
    let now = Instant::now();
    let mut versions = generic();
    let ruby = version("ruby", 1);
    versions.desire(std::slice::from_ref(&ruby), now);
    versions.desire(&[], now);
    assert_eq!(versions.desire(std::slice::from_ref(&ruby), now), []);
    assert_eq!(versions.prepared(&ruby, Ok(()), now), [Action::Ready(ruby)]);
}

#[test]
fn nothing_is_settled_before_the_first_list() {
    let mut versions = generic();
    assert!(!versions.is_settled());
    assert_eq!(versions.desire(&[], Instant::now()), [Action::Collect(Vec::new())]);
    assert!(versions.is_settled());
}

#[test]
fn with_another_source_everything_that_failed_is_tried_at_once() {
    let now = Instant::now();
    let mut versions = generic();
    let ruby = version("ruby", 1);
    versions.desire(std::slice::from_ref(&ruby), now);
    versions.prepared(&ruby, Err(failure(false)), now);
    assert_eq!(versions.try_again(now), [Action::Prepare(ruby)]);
}
