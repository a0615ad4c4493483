//! How jobs wait: fairly, bounded in number, bytes and time.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use trackyard_protocol::reason::Reason;
use trackyard_protocol::worker::{FromRouter, FromWorker, Load, VersionFailed};

use super::harness::{Bench, hello, new_job, of_track, settings};
use crate::dispatch::Settings;

const TRACKS: [&str; 3] = ["ruby", "python", "csharp"];

/// Fills the one slot, lets these jobs come, and gives the tracks in the order in which they ran.
fn order_of(tracks: &[&str]) -> Vec<String> {
    let mut bench = Bench::new();
    bench.deploy(&TRACKS);
    bench.hello(1, hello("a", &["*"], 1, &TRACKS));
    for (key, track) in tracks.iter().enumerate() {
        bench.ask(new_job(track, key as u128));
    }
    let mut order = Vec::new();
    while let Some((peer, job)) = bench.jobs().pop() {
        order.push(job.track.to_string());
        bench.end(peer, job.token, Reason::Ok);
    }
    order
}

#[test]
fn no_python_job_waits_behind_more_than_two_ruby_jobs() {
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
        // Between two jobs of one track, every other track with a waiting job runs once. The first never waited.
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
    fn the_queue_is_bounded_and_the_longest_track_pays(picks in proptest::collection::vec(0_usize..3, 1..60)) {
        let mut bench = Bench::with(Settings { queue_max_jobs: 7, queue_max_bytes: 650, ..settings() });
        bench.deploy(&TRACKS);
        bench.hello(1, hello("a", &["*"], 1, &[]));
        let mut lengths: BTreeMap<u64, usize> = BTreeMap::new();
        for (key, pick) in picks.iter().enumerate() {
            let waiter = bench.ask(new_job(TRACKS[*pick], key as u128));
            lengths.insert(waiter, *pick);
            let totals = bench.dispatch.snapshot().totals;
            prop_assert!(totals.waiting <= 6 && totals.waiting_bytes <= 600);
            prop_assert_eq!(totals.waiting + bench.answers.len(), key + 1);
        }
        // Whoever was refused was one of a track at least as long as the others.
        let waiting = |pick: usize| {
            lengths.iter().filter(|(waiter, own)| **own == pick && !bench.answers.contains_key(waiter)).count()
        };
        let longest = (0..3).map(waiting).max().unwrap();
        for waiter in bench.answers.keys() {
            prop_assert!(waiting(lengths[waiter]) + 1 >= longest);
        }
    }
}

#[test]
fn a_job_waits_no_longer_than_the_queue_allows() {
    let mut bench = Bench::new();
    bench.hello(1, hello("a", &["ruby"], 1, &["ruby"]));
    let running = bench.ask(new_job("ruby", 1));
    let waiting = bench.ask(new_job("ruby", 2));
    for _ in 0..9 {
        bench.pass(Duration::from_secs(1));
        bench.say(1, FromWorker::Heartbeat(Load::default()));
    }
    assert_eq!(bench.reason(waiting), None);
    bench.pass(Duration::from_secs(1));
    assert_eq!((bench.reason(waiting), bench.reason(running)), (Some(Reason::QueueDeadline), None));
}

#[test]
fn a_version_is_refused_once_every_worker_has_failed_it_for_good() {
    let failed = |retrying| {
        let (reason, message) = ("pull_failed".to_owned(), "no such image".to_owned());
        let version = of_track("ruby", 0);
        FromWorker::Failed(Box::new(VersionFailed { version, reason, status_code: 511, message, retrying }))
    };
    let mut bench = Bench::new();
    bench.hello(1, hello("a", &["ruby"], 1, &[]));
    bench.hello(2, hello("b", &["*"], 1, &[]));
    let waiter = bench.ask(new_job("ruby", 1));
    bench.say(1, failed(false));
    bench.say(2, failed(true));
    assert_eq!(bench.reason(waiter), None);
    bench.say(2, failed(false));
    assert_eq!(bench.answers[&waiter].message, "no such image");
    let next = bench.ask(new_job("ruby", 2));
    assert_eq!(bench.reason(next), Some(Reason::PullFailed));
    bench.say(2, FromWorker::Ready(of_track("ruby", 0)));
    bench.ask(new_job("ruby", 3));
    assert_eq!(bench.job().0, 2);
}

#[test]
fn what_a_worker_says_of_a_failed_version_is_cut_short() {
    let mut bench = Bench::new();
    bench.hello(1, hello("a", &["ruby"], 1, &[]));
    let (reason, message) = ("é".repeat(1 << 20), "é".repeat(1 << 20));
    let failed =
        VersionFailed { version: of_track("ruby", 0), reason, status_code: 511, message, retrying: true };
    bench.say(1, FromWorker::Failed(Box::new(failed)));
    let kept = &bench.dispatch.snapshot().workers[0].failed[0];
    assert_eq!((kept.reason.chars().count(), kept.message.chars().count()), (64, 500));
}

#[test]
fn a_version_that_jobs_wait_for_is_wanted_first() {
    let mut bench = Bench::new();
    bench.hello(1, hello("a", &["*"], 1, &[]));
    bench.sent.clear();
    bench.ask(new_job("ruby", 1));
    bench.ask(new_job("ruby", 2));
    let desired = |(_, message): &(u64, FromRouter)| match message {
        FromRouter::Desired(desired) => Some(desired.versions.clone()),
        _ => None,
    };
    let told: Vec<_> = bench.sent.iter().filter_map(desired).collect();
    assert_eq!(told, vec![vec![of_track("ruby", 0), of_track("python", 0)]]);
}

#[test]
fn unloading_a_version_answers_those_who_wait_for_it() {
    let mut bench = Bench::new();
    bench.hello(1, hello("a", &["*"], 1, &["ruby"]));
    let running = bench.ask(new_job("ruby", 1));
    let waiting = bench.ask(new_job("ruby", 2));
    bench.deploy(&["python"]);
    assert_eq!((bench.reason(running), bench.reason(waiting)), (None, Some(Reason::NotDeployed)));
}
