//! How jobs wait: fairly, and bounded in number, bytes and time.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use trackyard_protocol::reason::Reason;
use trackyard_protocol::worker::{FromRouter, FromWorker, Load, VersionFailed};

use super::harness::{Harness, hello, new_job, of_track, settings};
use crate::dispatch::Settings;

const TRACKS: [&str; 3] = ["ruby", "python", "csharp"];

/// Submits a job for each of these tracks to a worker with one slot. Returns the tracks in the order in which they ran.
fn order_of(tracks: &[&str]) -> Vec<String> {
    let mut harness = Harness::new();
    harness.deploy(&TRACKS);
    harness.hello(1, hello("a", &["*"], 1, &TRACKS));
    for (key, track) in tracks.iter().enumerate() {
        harness.submit(new_job(track, key as u128));
    }
    let mut order = Vec::new();
    while let Some((peer, job)) = harness.jobs().pop() {
        order.push(job.track.to_string());
        harness.finish(peer, job.token, Reason::Ok);
    }
    order
}

/// No python job waits behind more than two ruby jobs.
#[test]
fn long_queue_does_not_delay_another_track() {
    let tracks = [["ruby"; 1000].as_slice(), &["python"; 10]].concat();
    let order = order_of(&tracks);
    assert_eq!(order.len(), 1010);
    let last = order.iter().rposition(|track| track == "python").unwrap();
    for pair in order[..last].windows(3) {
        assert!(pair.contains(&"python".to_owned()), "{pair:?}");
    }
}

proptest! {
    #[test]
    fn tracks_take_turns(picks in proptest::collection::vec(0_usize..3, 1..60)) {
        let tracks: Vec<&str> = picks.iter().map(|pick| TRACKS[*pick]).collect();
        let order = order_of(&tracks);
        prop_assert_eq!(order.len(), tracks.len());
        // Between two jobs of one track, every other track with a waiting job runs once. The first job never waited.
        let mut left: BTreeMap<&str, usize> = BTreeMap::new();
        tracks.iter().skip(1).for_each(|track| *left.entry(*track).or_default() += 1);
        let mut since: BTreeMap<String, usize> = BTreeMap::new();
        for track in order.iter().skip(1) {
            *left.get_mut(track.as_str()).unwrap() -= 1;
            since.insert(track.clone(), 0);
            for (other, waiting) in left.iter().filter(|(other, _)| *other != track) {
                let passed = since.entry((*other).to_owned()).or_default();
                *passed += 1;
                prop_assert!(*waiting == 0 || *passed <= 2, "{} waited too long: {:?}", other, order);
            }
        }
    }

    #[test]
    fn full_queue_ends_jobs_of_the_longest_track(picks in proptest::collection::vec(0_usize..3, 1..60)) {
        let mut harness = Harness::with(Settings { queue_max_jobs: 7, queue_max_bytes: 650, ..settings() });
        harness.deploy(&TRACKS);
        harness.hello(1, hello("a", &["*"], 1, &[]));
        let mut lengths: BTreeMap<u64, usize> = BTreeMap::new();
        for (key, pick) in picks.iter().enumerate() {
            let waiter = harness.submit(new_job(TRACKS[*pick], key as u128));
            lengths.insert(waiter, *pick);
            let totals = harness.dispatch.snapshot().totals;
            prop_assert!(totals.waiting <= 6 && totals.waiting_bytes <= 600);
            prop_assert_eq!(totals.waiting + harness.answers.len(), key + 1);
        }
        // Each refused job was of a track that was at least as long as the others.
        let waiting = |pick: usize| {
            lengths.iter().filter(|(waiter, own)| **own == pick && !harness.answers.contains_key(waiter)).count()
        };
        let longest = (0..3).map(waiting).max().unwrap();
        for waiter in harness.answers.keys() {
            prop_assert!(waiting(lengths[waiter]) + 1 >= longest);
        }
    }
}

#[test]
fn waiting_job_expires_at_queue_max_wait() {
    let mut harness = Harness::new();
    harness.hello(1, hello("a", &["ruby"], 1, &["ruby"]));
    let running = harness.submit(new_job("ruby", 1));
    let waiting = harness.submit(new_job("ruby", 2));
    for _ in 0..9 {
        harness.advance(Duration::from_secs(1));
        harness.receive(1, FromWorker::Heartbeat(Load::default()));
    }
    assert_eq!(harness.reason(waiting), None);
    harness.advance(Duration::from_secs(1));
    assert_eq!((harness.reason(waiting), harness.reason(running)), (Some(Reason::QueueDeadline), None));
}

#[test]
fn version_failed_on_all_workers_is_refused() {
    let failed = |retrying| {
        let reason = "pull_failed".to_owned();
        let message = "no such image".to_owned();
        let version = of_track("ruby", 0);
        FromWorker::Failed(Box::new(VersionFailed { version, reason, status_code: 511, message, retrying }))
    };
    let mut harness = Harness::new();
    harness.hello(1, hello("a", &["ruby"], 1, &[]));
    harness.hello(2, hello("b", &["*"], 1, &[]));
    let waiter = harness.submit(new_job("ruby", 1));
    harness.receive(1, failed(false));
    harness.receive(2, failed(true));
    assert_eq!(harness.reason(waiter), None);
    harness.receive(2, failed(false));
    assert_eq!(harness.answers[&waiter].message, "no such image");
    let next = harness.submit(new_job("ruby", 2));
    assert_eq!(harness.reason(next), Some(Reason::PullFailed));
    harness.receive(2, FromWorker::Ready(of_track("ruby", 0)));
    harness.submit(new_job("ruby", 3));
    assert_eq!(harness.job().0, 2);
}

#[test]
fn texts_about_a_failed_version_are_truncated() {
    let mut harness = Harness::new();
    harness.hello(1, hello("a", &["ruby"], 1, &[]));
    let reason = "é".repeat(1 << 20);
    let message = reason.clone();
    let failed =
        VersionFailed { version: of_track("ruby", 0), reason, status_code: 511, message, retrying: true };
    harness.receive(1, FromWorker::Failed(Box::new(failed)));
    let kept = &harness.dispatch.snapshot().workers[0].failed[0];
    assert_eq!((kept.reason.chars().count(), kept.message.chars().count()), (64, 500));
}

#[test]
fn awaited_version_is_desired_first() {
    let mut harness = Harness::new();
    harness.hello(1, hello("a", &["*"], 1, &[]));
    harness.sent.clear();
    harness.submit(new_job("ruby", 1));
    harness.submit(new_job("ruby", 2));
    let desired = |(_, message): &(u64, FromRouter)| match message {
        FromRouter::Desired(desired) => Some(desired.versions.clone()),
        _ => None,
    };
    let desired_lists: Vec<_> = harness.sent.iter().filter_map(desired).collect();
    assert_eq!(desired_lists, vec![vec![of_track("ruby", 0), of_track("python", 0)]]);
}

#[test]
fn undeploying_ends_waiting_jobs() {
    let mut harness = Harness::new();
    harness.hello(1, hello("a", &["*"], 1, &["ruby"]));
    let running = harness.submit(new_job("ruby", 1));
    let waiting = harness.submit(new_job("ruby", 2));
    harness.deploy(&["python"]);
    assert_eq!((harness.reason(running), harness.reason(waiting)), (None, Some(Reason::NotDeployed)));
}
