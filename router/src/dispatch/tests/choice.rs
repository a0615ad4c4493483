//! Which worker gets a job.

use std::time::Duration;

use rstest::rstest;
use trackyard_protocol::channel::{Channel, Topics};
use trackyard_protocol::reason::Reason;
use trackyard_protocol::worker::{FromWorker, Load};

use super::harness::{Harness, hello, new_job, settings, tooling};
use crate::dispatch::{Event, PoolCover, Settings};

/// A worker: connection, topics, slots, and the tracks that it has ready.
type WorkerCase = (u64, &'static str, u32, &'static str);

#[rstest]
#[case::scoped_before_generic(&[(1, "*", 9, "ruby"), (2, "ruby", 1, "ruby")], &[2, 1, 1])]
#[case::most_free_slots_first(&[(1, "ruby", 1, "ruby"), (2, "ruby", 3, "ruby")], &[2, 2, 1, 2])]
#[case::least_recently_used_next(&[(1, "*", 2, "ruby"), (2, "*", 2, "ruby")], &[1, 2, 1, 2])]
#[case::only_where_it_is_ready(&[(1, "ruby", 9, ""), (2, "*", 1, "ruby")], &[2])]
#[case::never_another_track(&[(1, "python", 9, "ruby python"), (2, "ruby python", 1, "ruby")], &[2])]
fn chooses_a_worker(#[case] workers: &[WorkerCase], #[case] expected: &[u64]) {
    let mut harness = Harness::new();
    for (peer, topics, slots, ready) in workers {
        let list = |text: &'static str| text.split_whitespace().collect::<Vec<_>>();
        harness.hello(*peer, hello(&format!("w{peer}"), &list(topics), *slots, &list(ready)));
    }
    for key in 0..9 {
        harness.submit(new_job("ruby", key));
    }
    let got: Vec<u64> = harness.jobs().into_iter().map(|(peer, _)| peer).collect();
    assert!(got.starts_with(expected) && got.iter().all(|peer| expected.contains(peer)), "{got:?}");
}

#[test]
fn free_slot_is_found_among_many_workers() {
    let mut harness = Harness::new();
    for peer in 0..40 {
        harness.hello(peer, hello(&format!("w{peer}"), &["*"], 1 + u32::from(peer == 7), &["ruby"]));
    }
    for key in 0..41 {
        harness.submit(new_job("ruby", key));
    }
    let jobs = harness.jobs();
    assert_eq!(jobs[0].0, 7);
    assert_eq!((jobs.len(), jobs.iter().filter(|(peer, _)| *peer == 7).count()), (41, 2));
}

#[test]
fn burst_is_shared_evenly() {
    let mut harness = Harness::new();
    harness.hello(1, hello("a", &["ruby"], 20, &["ruby"]));
    harness.hello(2, hello("b", &["ruby"], 20, &["ruby"]));
    for key in 0..21 {
        harness.submit(new_job("ruby", key));
    }
    let first = harness.jobs().iter().filter(|(peer, _)| *peer == 1).count();
    assert!((10..=11).contains(&first), "{first}");
}

#[test]
fn job_without_worker_is_refused() {
    let mut harness = Harness::new();
    harness.hello(1, hello("a", &["python"], 1, &["python"]));
    let waiter = harness.submit(new_job("ruby", 1));
    assert_eq!(harness.reason(waiter), Some(Reason::NoWorker));
}

#[test]
fn job_of_an_expected_track_waits() {
    let mut harness = Harness::with(Settings { expected: [tooling("ruby")].into(), ..settings() });
    let waiter = harness.submit(new_job("ruby", 1));
    assert_eq!(harness.reason(waiter), None);
    harness.hello(1, hello("a", &["ruby"], 1, &["ruby"]));
    assert_eq!(harness.job().0, 1);
}

#[test]
fn job_waits_for_the_cold_start_of_its_pool() {
    let cover = |topic: &str| PoolCover {
        channel: Channel::TestRunners,
        topics: [topic.parse().unwrap()].into_iter().collect(),
        cold_start: Duration::from_secs(180),
    };
    let mut harness = Harness::with(Settings { pools: vec![cover("ruby")], ..settings() });
    let waiter = harness.submit(new_job("ruby", 1));
    let other = harness.submit(new_job("python", 2));
    assert_eq!((harness.reason(waiter), harness.reason(other)), (None, Some(Reason::NoWorker)));
    harness.advance(Duration::from_secs(60));
    harness.hello(1, hello("a", &["ruby"], 1, &["ruby"]));
    assert_eq!(harness.job().0, 1);
    // Once a worker has the version ready, the default wait applies.
    let busy = harness.submit(new_job("ruby", 3));
    for _ in 0..11 {
        harness.advance(Duration::from_secs(1));
        harness.receive(1, FromWorker::Heartbeat(Load::default()));
    }
    assert_eq!(harness.reason(busy), Some(Reason::QueueDeadline));
}

#[test]
fn removed_pool_ends_waiting_jobs() {
    let cover = PoolCover {
        channel: Channel::TestRunners,
        topics: Topics::any(),
        cold_start: Duration::from_secs(180),
    };
    let mut harness = Harness::with(Settings { pools: vec![cover], ..settings() });
    let waiter = harness.submit(new_job("ruby", 1));
    harness.on(Event::Settings(Box::new(settings())));
    assert_eq!(harness.reason(waiter), Some(Reason::NoWorker));
}

#[test]
fn recovery_holds_jobs_back() {
    let mut harness = Harness::recovering(settings());
    let waiter = harness.submit(new_job("ruby", 1));
    let unserved = harness.submit(new_job("python", 2));
    harness.hello(1, hello("a", &["ruby"], 1, &["ruby"]));
    harness.hello(2, hello("b", &["ruby"], 3, &["ruby"]));
    assert_eq!(harness.jobs(), vec![]);
    harness.advance(settings().recovery);
    assert_eq!(harness.job().0, 2);
    assert_eq!((harness.reason(waiter), harness.reason(unserved)), (None, Some(Reason::NoWorker)));
}
