//! How workers come, go and are told things.

use std::time::Duration;

use trackyard_protocol::reason::Reason;
use trackyard_protocol::token::{Epoch, Incarnation, JobKey, Token};
use trackyard_protocol::worker::{
    Drain, FromRouter, FromWorker, HeldJob, HeldState, Load, Returned, Then, TrackVersion,
};

use super::harness::{Bench, EPOCH, hello, new_job, of_track, settings, version};
use crate::dispatch::{Counter, Event, Peer, Settings};

const AGAIN: FromRouter = FromRouter::Drain(Drain { then: Then::Bootstrap });

fn names(bench: &Bench) -> Vec<String> {
    bench.dispatch.snapshot().workers.iter().map(|worker| worker.name.to_string()).collect()
}

#[test]
fn silence_loses_a_worker_but_not_a_stall_of_the_router() {
    let mut bench = Bench::new();
    bench.hello(1, hello("a", &["ruby"], 1, &["ruby"]));
    bench.now += Duration::from_secs(5);
    bench.on(Event::Stalled { by: Duration::from_secs(5) });
    bench.on(Event::Tick);
    assert_eq!(names(&bench), ["a"]);
    bench.pass(Duration::from_millis(2999));
    assert_eq!(names(&bench), ["a"]);
    bench.pass(Duration::from_millis(1));
    assert_eq!(names(&bench), Vec::<String>::new());
}

#[test]
fn every_worker_hears_the_router_each_second() {
    let mut bench = Bench::new();
    bench.hello(1, hello("a", &["ruby"], 1, &[]));
    bench.sent.clear();
    bench.pass(Duration::from_secs(1));
    assert!(bench.was_sent(1, &FromRouter::Heartbeat));
}

#[test]
fn the_newest_hello_of_a_name_wins() {
    let mut bench = Bench::new();
    bench.hello(1, hello("a", &["ruby"], 1, &["ruby"]));
    bench.ask(new_job("ruby", 1));
    let (_, job) = bench.job();
    bench.accept(1, job.token);
    let mut other = hello("a", &["ruby"], 1, &["ruby"]);
    other.incarnation = Incarnation(2);
    bench.hello(2, other);
    let (peer, again) = bench.job();
    assert_eq!((peer, again.attempt), (2, 2));
    assert!(bench.counted.contains(&Counter::NameTaken));
    bench.say(1, FromWorker::Heartbeat(Load::default()));
    assert_eq!(bench.sent.last(), Some(&(1, FromRouter::SayHello)));
}

#[test]
fn a_second_hello_on_the_same_connection_frees_nothing() {
    let mut bench = Bench::new();
    bench.hello(1, hello("a", &["ruby"], 1, &["ruby"]));
    bench.ask(new_job("ruby", 1));
    bench.ask(new_job("ruby", 2));
    assert_eq!(bench.jobs().len(), 1);
    bench.hello(1, hello("a", &["ruby"], 1, &["ruby"]));
    assert_eq!(bench.jobs().len(), 0);
}

#[test]
fn a_job_given_back_goes_elsewhere_and_not_to_the_same_worker() {
    let mut bench = Bench::new();
    bench.hello(1, hello("a", &["ruby"], 1, &["ruby"]));
    bench.ask(new_job("ruby", 1));
    for (next, why) in [(2, "not_unpacked"), (3, "draining")] {
        let (peer, job) = bench.job();
        bench.say(peer, FromWorker::Returned(Returned { token: job.token, why: why.to_owned() }));
        assert_eq!(bench.jobs().len(), 0, "{why}");
        bench.hello(next, hello(&format!("w{next}"), &["*"], 1, &["ruby"]));
    }
    let (peer, job) = bench.job();
    assert_eq!((peer, job.attempt), (3, 1));
}

#[test]
fn workers_of_an_earlier_router_bootstrap_again_if_that_is_wanted() {
    let mut bench = Bench::with(Settings { force_worker_restart: true, ..settings() });
    for (peer, bootstrap, restarts) in [(1, None, false), (2, Some(EPOCH), false), (3, Some(Epoch(1)), true)]
    {
        let mut worker = hello(&format!("w{peer}"), &["ruby"], 1, &["ruby"]);
        worker.bootstrap = bootstrap;
        bench.hello(peer, worker);
        assert_eq!(bench.was_sent(peer, &AGAIN), restarts, "{bootstrap:?}");
    }
}

#[test]
fn jobs_wait_for_a_worker_that_bootstraps_again() {
    let mut bench = Bench::new();
    bench.hello(1, hello("a", &["ruby"], 1, &["ruby"]));
    bench.on(Event::RestartWorkers);
    assert!(bench.was_sent(1, &AGAIN));
    let first = bench.ask(new_job("ruby", 1));
    bench.say(1, FromWorker::Goodbye);
    let second = bench.ask(new_job("ruby", 2));
    assert_eq!((bench.reason(first), bench.reason(second), bench.jobs().len()), (None, None, 0));
    bench.hello(2, hello("a", &["ruby"], 2, &["ruby"]));
    assert_eq!(bench.jobs().len(), 2);
}

#[test]
fn a_leaving_worker_serves_nothing_more() {
    let mut bench = Bench::new();
    bench.hello(1, hello("a", &["ruby"], 1, &["ruby"]));
    bench.say(1, FromWorker::Draining);
    let waiter = bench.ask(new_job("ruby", 1));
    assert_eq!(bench.reason(waiter), Some(Reason::NoWorker));
}

#[test]
fn a_worker_that_claims_too_much_is_cut_short() {
    let mut bench = Bench::new();
    let mut huge = hello("a", &["*"], u32::MAX, &[]);
    let versions = (0..10_000).map(|n| TrackVersion { version: version(n), ..of_track("ruby", 0) });
    huge.versions = versions.collect();
    let held = |n| HeldJob {
        token: Token { epoch: Epoch(1), sequence: n },
        key: JobKey(u128::from(n)),
        state: HeldState::Running,
    };
    huge.jobs = (0..10_000).map(held).collect();
    bench.hello(1, huge);
    assert!(bench.counted.contains(&Counter::HelloTruncated));
    let snapshot = bench.dispatch.snapshot();
    assert_eq!((snapshot.workers[0].ready.len(), snapshot.workers[0].jobs.len()), (4096, 4096));
    bench.on(Event::Gone { peer: Peer(1) });
    let totals = bench.dispatch.snapshot().totals;
    assert_eq!((totals.jobs, totals.attempts, totals.away, totals.lanes), (0, 0, 0, 2));
}

/// Who claims a token before it is given would share the attempt with the worker that gets it, and lose it for that one.
#[test]
fn a_token_to_come_cannot_be_claimed() {
    for says in ["accepted", "hello"] {
        let mut bench = Bench::new();
        let token = Token { epoch: EPOCH, sequence: 1 };
        let mut liar = hello("liar", &["python"], 1, &["python"]);
        if says == "hello" {
            liar.jobs = vec![HeldJob { token, key: JobKey(7), state: HeldState::Running }];
        }
        bench.hello(1, liar);
        bench.accept(1, token);
        bench.hello(2, hello("a", &["ruby"], 1, &["ruby"]));
        let waiter = bench.ask(new_job("ruby", 1));
        let (peer, job) = bench.job();
        assert_eq!((peer, job.token), (2, token));
        bench.accept(2, token);
        let held: Vec<usize> = bench.dispatch.snapshot().workers.iter().map(|w| w.jobs.len()).collect();
        assert_eq!(held, [1, 0], "{says}");
        bench.on(Event::Gone { peer: Peer(1) });
        assert_eq!((bench.jobs(), bench.reason(waiter)), (vec![], None));
        bench.end(2, token, Reason::Ok);
        assert_eq!(bench.reason(waiter), Some(Reason::Ok));
    }
}

#[test]
fn a_stranger_is_asked_once_for_all_that_it_says_and_again_if_it_does_not_answer() {
    let mut bench = Bench::new();
    for _ in 0..100 {
        bench.say(9, FromWorker::Heartbeat(Load::default()));
    }
    assert_eq!(bench.sent, [(9, FromRouter::SayHello)]);
    bench.pass(Duration::from_millis(500));
    bench.say(9, FromWorker::Heartbeat(Load::default()));
    assert_eq!(bench.sent.len(), 2);
}
