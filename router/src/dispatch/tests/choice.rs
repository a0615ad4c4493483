//! Which worker gets a job.

use std::time::Duration;

use rstest::rstest;
use trackyard_protocol::channel::{Channel, Topics};
use trackyard_protocol::reason::Reason;
use trackyard_protocol::worker::{FromWorker, Load};

use super::harness::{Bench, hello, new_job, place, settings};
use crate::dispatch::{Event, PoolCover, Settings};

/// A worker: connection, topics, slots, tracks ready.
type Given = (u64, &'static str, u32, &'static str);

#[rstest]
#[case::scoped_before_generic(&[(1, "*", 9, "ruby"), (2, "ruby", 1, "ruby")], &[2, 1, 1])]
#[case::most_free_slots_first(&[(1, "ruby", 1, "ruby"), (2, "ruby", 3, "ruby")], &[2, 2, 1, 2])]
#[case::least_recently_used_next(&[(1, "*", 2, "ruby"), (2, "*", 2, "ruby")], &[1, 2, 1, 2])]
#[case::only_where_it_is_ready(&[(1, "ruby", 9, ""), (2, "*", 1, "ruby")], &[2])]
#[case::never_another_track(&[(1, "python", 9, "ruby python"), (2, "ruby python", 1, "ruby")], &[2])]
fn the_dispatch_rule(#[case] workers: &[Given], #[case] expected: &[u64]) {
    let mut bench = Bench::new();
    for (peer, topics, slots, ready) in workers {
        let words = |text: &'static str| text.split_whitespace().collect::<Vec<_>>();
        bench.hello(*peer, hello(&format!("w{peer}"), &words(topics), *slots, &words(ready)));
    }
    for key in 0..9 {
        bench.ask(new_job("ruby", key));
    }
    let got: Vec<u64> = bench.jobs().into_iter().map(|(peer, _)| peer).collect();
    assert!(got.starts_with(expected) && got.iter().all(|peer| expected.contains(peer)), "{got:?}");
}

#[test]
fn a_free_slot_is_found_among_many_workers() {
    let mut bench = Bench::new();
    for peer in 0..40 {
        bench.hello(peer, hello(&format!("w{peer}"), &["*"], 1 + u32::from(peer == 7), &["ruby"]));
    }
    for key in 0..41 {
        bench.ask(new_job("ruby", key));
    }
    let jobs = bench.jobs();
    assert_eq!(jobs[0].0, 7);
    assert_eq!((jobs.len(), jobs.iter().filter(|(peer, _)| *peer == 7).count()), (41, 2));
}

#[test]
fn two_workers_share_a_burst_within_one_job() {
    let mut bench = Bench::new();
    bench.hello(1, hello("a", &["ruby"], 20, &["ruby"]));
    bench.hello(2, hello("b", &["ruby"], 20, &["ruby"]));
    for key in 0..21 {
        bench.ask(new_job("ruby", key));
    }
    let first = bench.jobs().iter().filter(|(peer, _)| *peer == 1).count();
    assert!((10..=11).contains(&first), "{first}");
}

#[test]
fn nobody_waits_for_a_worker_that_is_not_there() {
    let mut bench = Bench::new();
    bench.hello(1, hello("a", &["python"], 1, &["python"]));
    let waiter = bench.ask(new_job("ruby", 1));
    assert_eq!(bench.reason(waiter), Some(Reason::NoWorker));
}

#[test]
fn an_expected_track_waits() {
    let mut bench = Bench::with(Settings { expected: [place("ruby")].into(), ..settings() });
    let waiter = bench.ask(new_job("ruby", 1));
    assert_eq!(bench.reason(waiter), None);
    bench.hello(1, hello("a", &["ruby"], 1, &["ruby"]));
    assert_eq!(bench.job().0, 1);
}

#[test]
fn a_track_waits_for_its_pool_as_long_as_that_takes_to_start() {
    let cover = |topic: &str| PoolCover {
        channel: Channel::TestRunners,
        topics: [topic.parse().unwrap()].into_iter().collect(),
        cold_start: Duration::from_secs(180),
    };
    let mut bench = Bench::with(Settings { pools: vec![cover("ruby")], ..settings() });
    let waiter = bench.ask(new_job("ruby", 1));
    let other = bench.ask(new_job("python", 2));
    assert_eq!((bench.reason(waiter), bench.reason(other)), (None, Some(Reason::NoWorker)));
    bench.pass(Duration::from_secs(60));
    bench.hello(1, hello("a", &["ruby"], 1, &["ruby"]));
    assert_eq!(bench.job().0, 1);
    // Once a worker is prepared, the wait is the usual one.
    let busy = bench.ask(new_job("ruby", 3));
    for _ in 0..11 {
        bench.pass(Duration::from_secs(1));
        bench.say(1, FromWorker::Heartbeat(Load::default()));
    }
    assert_eq!(bench.reason(busy), Some(Reason::QueueDeadline));
}

#[test]
fn who_waits_for_a_pool_hears_when_it_goes() {
    let cover = PoolCover {
        channel: Channel::TestRunners,
        topics: Topics::any(),
        cold_start: Duration::from_secs(180),
    };
    let mut bench = Bench::with(Settings { pools: vec![cover], ..settings() });
    let waiter = bench.ask(new_job("ruby", 1));
    bench.on(Event::Settings(Box::new(settings())));
    assert_eq!(bench.reason(waiter), Some(Reason::NoWorker));
}

#[test]
fn nothing_is_sent_while_workers_report_and_then_the_rule_holds() {
    let mut bench = Bench::recovering(settings());
    let waiter = bench.ask(new_job("ruby", 1));
    let unserved = bench.ask(new_job("python", 2));
    bench.hello(1, hello("a", &["ruby"], 1, &["ruby"]));
    bench.hello(2, hello("b", &["ruby"], 3, &["ruby"]));
    assert_eq!(bench.jobs(), vec![]);
    bench.pass(settings().recovery);
    assert_eq!(bench.job().0, 2);
    assert_eq!((bench.reason(waiter), bench.reason(unserved)), (None, Some(Reason::NoWorker)));
}
