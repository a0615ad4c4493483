//! Builds: dispatched to builders of the track, joined by reference, never run twice.

use std::time::Duration;

use trackyard_protocol::build::{BuildLimits, BuildState, LogPage};
use trackyard_protocol::channel::Channel;
use trackyard_protocol::reason::Reason;
use trackyard_protocol::request::{BuildRequest, Place};
use trackyard_protocol::token::{Incarnation, JobKey, Token};
use trackyard_protocol::worker::{
    Build, BuildLog, FromRouter, FromWorker, HeldJob, HeldState, Hello, Load, Returned,
};

use super::harness::{Bench, hello, place};
use crate::dispatch::{Event, NewJob, Order, Peer};

const MINUTE: Duration = Duration::from_secs(60);

fn build(track: &str, key: u128) -> NewJob {
    let request = BuildRequest {
        id: None,
        place: place(track),
        git_reference: "main".to_owned(),
        execution_timeout: None,
        deadline: None,
    };
    let waits = Place { channel: Channel::Builders, ..place(track) };
    let source = "https://example.org/tooling".to_owned();
    let order = Order::Build { request, place: waits, source, limits: BuildLimits::default() };
    NewJob { order, key: JobKey(key), bytes: 100 }
}

fn builder(name: &str, topics: &[&str], slots: u32) -> Hello {
    Hello { channel: Channel::Builders, ..hello(name, topics, slots, &[]) }
}

fn builds(bench: &mut Bench) -> Vec<(u64, Build)> {
    let sent = std::mem::take(&mut bench.sent).into_iter();
    sent.filter_map(|(peer, message)| match message {
        FromRouter::Build(build) => Some((peer, *build)),
        _ => None,
    })
    .collect()
}

/// A builder with one build, accepted.
fn building() -> (Bench, u64, Token) {
    let mut bench = Bench::new();
    bench.hello(1, builder("a", &["*"], 1));
    let waiter = bench.ask(build("ruby", 1));
    let token = builds(&mut bench)[0].1.token;
    bench.accept(1, token);
    (bench, waiter, token)
}

/// Time goes by, all these workers live.
fn live(bench: &mut Bench, span: Duration, peers: &[u64]) {
    for _ in 0..span.as_secs() {
        for peer in peers {
            bench.say(*peer, FromWorker::Heartbeat(Load { busy: 1 }));
        }
        bench.pass(Duration::from_secs(1));
    }
}

fn again(token: Option<Token>, incarnation: u64) -> Hello {
    let jobs = token.map(|token| HeldJob { token, key: JobKey(1), state: HeldState::Running });
    let incarnation = Incarnation(incarnation);
    Hello { jobs: jobs.into_iter().collect(), incarnation, ..builder("a", &["*"], 1) }
}

#[test]
fn a_builder_scoped_to_the_track_comes_before_a_generic_one_and_test_runners_get_none() {
    let mut bench = Bench::new();
    bench.hello(1, hello("runner", &["ruby"], 5, &["ruby"]));
    bench.hello(2, builder("generic", &["*"], 5));
    bench.hello(3, builder("scoped", &["ruby"], 1));
    let peers = |bench: &mut Bench| builds(bench).iter().map(|(peer, _)| *peer).collect::<Vec<_>>();
    bench.ask(build("ruby", 1));
    assert_eq!(peers(&mut bench), [3]);
    bench.ask(build("ruby", 2));
    bench.ask(build("python", 3));
    assert_eq!(peers(&mut bench), [2, 2]);
}

#[test]
fn without_a_builder_the_answer_is_at_once() {
    let mut bench = Bench::new();
    bench.hello(1, hello("runner", &["ruby"], 5, &["ruby"]));
    let waiter = bench.ask(build("ruby", 1));
    assert_eq!(bench.reason(waiter), Some(Reason::NoWorker));
}

#[test]
fn the_same_reference_twice_is_one_build_with_two_answers_and_later_a_new_one() {
    let (mut bench, first, token) = building();
    let second = bench.ask(build("ruby", 1));
    bench.end(1, token, Reason::Ok);
    assert_eq!([bench.reason(first), bench.reason(second)], [Some(Reason::Ok); 2]);
    let third = bench.ask(build("ruby", 1));
    assert_eq!((bench.reason(third), builds(&mut bench).len()), (None, 1));
}

#[test]
fn a_build_waits_as_long_as_one_may_take() {
    let (mut bench, _, token) = building();
    let waiting = bench.ask(build("python", 2));
    live(&mut bench, MINUTE * 14, &[1]);
    bench.end(1, token, Reason::Ok);
    assert_eq!(builds(&mut bench).len(), 1);
    let late = bench.ask(build("csharp", 3));
    live(&mut bench, MINUTE * 15, &[1]);
    assert_eq!(bench.reason(late), Some(Reason::QueueDeadline));
    live(&mut bench, MINUTE, &[1]);
    assert_eq!(bench.reason(waiting), Some(Reason::Deadline));
}

#[test]
fn a_builder_that_comes_back_with_its_build_keeps_it() {
    let (mut bench, waiter, token) = building();
    bench.hello(2, builder("b", &["*"], 1));
    bench.on(Event::Gone { peer: Peer(1) });
    live(&mut bench, Duration::from_secs(29), &[2]);
    bench.hello(3, again(Some(token), 1));
    live(&mut bench, MINUTE * 5, &[2, 3]);
    assert_eq!((bench.reason(waiter), builds(&mut bench).len()), (None, 0));
    bench.end(3, token, Reason::Ok);
    assert_eq!(bench.reason(waiter), Some(Reason::Ok));
}

#[test]
fn a_builder_that_stays_away_loses_its_build_which_nobody_else_gets() {
    let (mut bench, waiter, _) = building();
    bench.hello(2, builder("b", &["*"], 1));
    bench.on(Event::Gone { peer: Peer(1) });
    live(&mut bench, Duration::from_secs(31), &[2]);
    assert_eq!((bench.reason(waiter), builds(&mut bench).len()), (Some(Reason::WorkerLost), 0));
}

#[test]
fn a_builder_that_starts_anew_has_lost_its_build() {
    let (mut bench, waiter, _) = building();
    bench.hello(2, again(None, 2));
    assert_eq!((bench.reason(waiter), builds(&mut bench).len()), (Some(Reason::WorkerLost), 0));
}

#[test]
fn a_build_that_never_reached_its_builder_goes_to_another() {
    let mut bench = Bench::new();
    bench.hello(1, builder("a", &["*"], 1));
    let waiter = bench.ask(build("ruby", 1));
    bench.hello(2, builder("b", &["*"], 1));
    builds(&mut bench);
    bench.on(Event::Gone { peer: Peer(1) });
    assert_eq!(builds(&mut bench).len(), 0, "it may have reached it");
    bench.hello(3, again(None, 1));
    let sent = builds(&mut bench);
    assert_eq!(sent.iter().map(|(peer, _)| *peer).collect::<Vec<_>>(), [2]);
    bench.end(2, sent[0].1.token, Reason::Ok);
    assert_eq!(bench.reason(waiter), Some(Reason::Ok));
}

#[test]
fn a_build_can_be_followed_from_its_queue_to_its_end() {
    let (mut bench, _, token) = building();
    bench.ask(build("python", 2));
    let page = LogPage { lines: vec!["step 1".to_owned()], next: 1 };
    bench.say(1, FromWorker::Log(BuildLog { token, page: page.clone() }));
    let state = |bench: &Bench, key| bench.dispatch.build_progress(JobKey(key), 0).state;
    assert_eq!(bench.dispatch.build_progress(JobKey(1), 0).log, page);
    assert_eq!(bench.dispatch.build_progress(JobKey(1), 1).log.lines.len(), 0);
    assert_eq!((state(&bench, 1), state(&bench, 2)), (BuildState::Running, BuildState::Waiting));
    bench.end(1, token, Reason::Ok);
    assert_eq!((state(&bench, 1), state(&bench, 2)), (BuildState::None, BuildState::Running));
}

#[test]
fn a_build_that_is_given_back_goes_to_another() {
    let (mut bench, _, token) = building();
    bench.hello(2, builder("b", &["*"], 1));
    bench.say(1, FromWorker::Returned(Returned { token, why: "draining".to_owned() }));
    assert_eq!(builds(&mut bench)[0].0, 2);
}
