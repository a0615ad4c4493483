//! How workers register, leave, and get messages.

use std::time::Duration;

use trackyard_protocol::reason::Reason;
use trackyard_protocol::token::{Epoch, Incarnation, JobKey, Token};
use trackyard_protocol::worker::{
    AfterDrain, Drain, FromRouter, FromWorker, HeldJob, HeldState, Load, Returned, TrackVersion,
};

use super::harness::{EPOCH, Harness, hello, new_job, of_track, settings, version};
use crate::dispatch::{Counter, Event, Peer, Settings};

const RESTART: FromRouter = FromRouter::Drain(Drain { then: AfterDrain::Bootstrap });

fn names(harness: &Harness) -> Vec<String> {
    harness.dispatch.snapshot().workers.iter().map(|worker| worker.name.to_string()).collect()
}

#[test]
fn silent_worker_is_lost_unless_the_router_stalled() {
    let mut harness = Harness::new();
    harness.hello(1, hello("a", &["ruby"], 1, &["ruby"]));
    harness.now += Duration::from_secs(5);
    harness.on(Event::Stalled { by: Duration::from_secs(5) });
    harness.on(Event::Tick);
    assert_eq!(names(&harness), ["a"]);
    harness.advance(Duration::from_millis(2999));
    assert_eq!(names(&harness), ["a"]);
    harness.advance(Duration::from_millis(1));
    assert_eq!(names(&harness), Vec::<String>::new());
}

#[test]
fn heartbeat_is_sent_each_second() {
    let mut harness = Harness::new();
    harness.hello(1, hello("a", &["ruby"], 1, &[]));
    harness.sent.clear();
    harness.advance(Duration::from_secs(1));
    assert!(harness.was_sent(1, &FromRouter::Heartbeat));
}

#[test]
fn newest_hello_of_a_name_wins() {
    let mut harness = Harness::new();
    harness.hello(1, hello("a", &["ruby"], 1, &["ruby"]));
    harness.submit(new_job("ruby", 1));
    let (_, job) = harness.job();
    harness.accept(1, job.token);
    let mut other = hello("a", &["ruby"], 1, &["ruby"]);
    other.incarnation = Incarnation(2);
    harness.hello(2, other);
    let (peer, again) = harness.job();
    assert_eq!((peer, again.attempt), (2, 2));
    assert!(harness.counted.contains(&Counter::NameTaken));
    harness.receive(1, FromWorker::Heartbeat(Load::default()));
    assert_eq!(harness.sent.last(), Some(&(1, FromRouter::SayHello)));
}

#[test]
fn repeated_hello_keeps_attempts() {
    let mut harness = Harness::new();
    harness.hello(1, hello("a", &["ruby"], 1, &["ruby"]));
    harness.submit(new_job("ruby", 1));
    harness.submit(new_job("ruby", 2));
    assert_eq!(harness.jobs().len(), 1);
    harness.hello(1, hello("a", &["ruby"], 1, &["ruby"]));
    assert_eq!(harness.jobs().len(), 0);
}

#[test]
fn returned_job_goes_to_another_worker() {
    let mut harness = Harness::new();
    harness.hello(1, hello("a", &["ruby"], 1, &["ruby"]));
    harness.submit(new_job("ruby", 1));
    for (next, why) in [(2, "not_unpacked"), (3, "draining")] {
        let (peer, job) = harness.job();
        harness.receive(peer, FromWorker::Returned(Returned { token: job.token, why: why.to_owned() }));
        assert_eq!(harness.jobs().len(), 0, "{why}");
        harness.hello(next, hello(&format!("w{next}"), &["*"], 1, &["ruby"]));
    }
    let (peer, job) = harness.job();
    assert_eq!((peer, job.attempt), (3, 1));
}

#[test]
fn outdated_workers_restart_if_configured() {
    let mut harness = Harness::with(Settings { force_worker_restart: true, ..settings() });
    for (peer, bootstrap, restarts) in [(1, None, false), (2, Some(EPOCH), false), (3, Some(Epoch(1)), true)]
    {
        let mut worker = hello(&format!("w{peer}"), &["ruby"], 1, &["ruby"]);
        worker.bootstrap = bootstrap;
        harness.hello(peer, worker);
        assert_eq!(harness.was_sent(peer, &RESTART), restarts, "{bootstrap:?}");
    }
}

#[test]
fn jobs_wait_for_a_restarting_worker() {
    let mut harness = Harness::new();
    harness.hello(1, hello("a", &["ruby"], 1, &["ruby"]));
    harness.on(Event::RestartWorkers);
    assert!(harness.was_sent(1, &RESTART));
    let first = harness.submit(new_job("ruby", 1));
    harness.receive(1, FromWorker::Goodbye);
    let second = harness.submit(new_job("ruby", 2));
    assert_eq!((harness.reason(first), harness.reason(second), harness.jobs().len()), (None, None, 0));
    harness.hello(2, hello("a", &["ruby"], 2, &["ruby"]));
    assert_eq!(harness.jobs().len(), 2);
}

#[test]
fn draining_worker_serves_nothing() {
    let mut harness = Harness::new();
    harness.hello(1, hello("a", &["ruby"], 1, &["ruby"]));
    harness.receive(1, FromWorker::Draining);
    let waiter = harness.submit(new_job("ruby", 1));
    assert_eq!(harness.reason(waiter), Some(Reason::NoWorker));
}

#[test]
fn oversized_hello_is_truncated() {
    let mut harness = Harness::new();
    let mut huge = hello("a", &["*"], u32::MAX, &[]);
    let versions = (0..10_000).map(|n| TrackVersion { version: version(n), ..of_track("ruby", 0) });
    huge.versions = versions.collect();
    let held = |n| HeldJob {
        token: Token { epoch: Epoch(1), sequence: n },
        key: JobKey(u128::from(n)),
        state: HeldState::Running,
    };
    huge.jobs = (0..10_000).map(held).collect();
    harness.hello(1, huge);
    assert!(harness.counted.contains(&Counter::HelloTruncated));
    let snapshot = harness.dispatch.snapshot();
    assert_eq!((snapshot.workers[0].ready.len(), snapshot.workers[0].jobs.len()), (4096, 4096));
    harness.on(Event::Disconnected { peer: Peer(1) });
    let totals = harness.dispatch.snapshot().totals;
    assert_eq!((totals.jobs, totals.attempts, totals.away, totals.lanes), (0, 0, 0, 2));
}

/// A worker that could claim a token in advance would share the attempt with the worker that gets it, and could lose it
/// for that worker.
#[test]
fn future_token_cannot_be_claimed() {
    for says in ["accepted", "hello"] {
        let mut harness = Harness::new();
        let token = Token { epoch: EPOCH, sequence: 1 };
        let mut liar = hello("liar", &["python"], 1, &["python"]);
        if says == "hello" {
            liar.jobs = vec![HeldJob { token, key: JobKey(7), state: HeldState::Running }];
        }
        harness.hello(1, liar);
        harness.accept(1, token);
        harness.hello(2, hello("a", &["ruby"], 1, &["ruby"]));
        let waiter = harness.submit(new_job("ruby", 1));
        let (peer, job) = harness.job();
        assert_eq!((peer, job.token), (2, token));
        harness.accept(2, token);
        let held: Vec<usize> = harness.dispatch.snapshot().workers.iter().map(|w| w.jobs.len()).collect();
        assert_eq!(held, [1, 0], "{says}");
        harness.on(Event::Disconnected { peer: Peer(1) });
        assert_eq!((harness.jobs(), harness.reason(waiter)), (vec![], None));
        harness.finish(2, token, Reason::Ok);
        assert_eq!(harness.reason(waiter), Some(Reason::Ok));
    }
}

#[test]
fn unknown_peer_is_asked_for_hello_once_per_interval() {
    let mut harness = Harness::new();
    for _ in 0..100 {
        harness.receive(9, FromWorker::Heartbeat(Load::default()));
    }
    assert_eq!(harness.sent, [(9, FromRouter::SayHello)]);
    harness.advance(Duration::from_millis(500));
    harness.receive(9, FromWorker::Heartbeat(Load::default()));
    assert_eq!(harness.sent.len(), 2);
}
