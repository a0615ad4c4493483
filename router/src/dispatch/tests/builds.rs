//! Builds: they go to builders of the track, requests for the same reference join, and none runs twice.

use std::time::Duration;

use trackyard_protocol::build::{BuildLimits, BuildState, LogPage};
use trackyard_protocol::channel::Channel;
use trackyard_protocol::reason::Reason;
use trackyard_protocol::request::{BuildRequest, Tooling};
use trackyard_protocol::token::{Incarnation, JobKey, Token};
use trackyard_protocol::worker::{
    Build, BuildLog, FromRouter, FromWorker, HeldJob, HeldState, Hello, Load, Returned,
};

use super::harness::{Harness, hello, tooling};
use crate::dispatch::{Event, JobSpec, NewJob, Peer};

const MINUTE: Duration = Duration::from_secs(60);

fn build(track: &str, key: u128) -> NewJob {
    let request = BuildRequest {
        id: None,
        tooling: tooling(track),
        git_reference: "main".to_owned(),
        execution_timeout: None,
        deadline: None,
    };
    let place_of_builders = Tooling { channel: Channel::Builders, ..tooling(track) };
    let source = "https://example.org/tooling".to_owned();
    let spec = JobSpec::Build { request, tooling: place_of_builders, source, limits: BuildLimits::default() };
    NewJob { spec, key: JobKey(key), bytes: 100 }
}

fn builder(name: &str, topics: &[&str], slots: u32) -> Hello {
    Hello { channel: Channel::Builders, ..hello(name, topics, slots, &[]) }
}

fn builds(harness: &mut Harness) -> Vec<(u64, Build)> {
    let sent = std::mem::take(&mut harness.sent).into_iter();
    sent.filter_map(|(peer, message)| match message {
        FromRouter::Build(build) => Some((peer, *build)),
        _ => None,
    })
    .collect()
}

/// Returns a builder that has accepted one build.
fn building() -> (Harness, u64, Token) {
    let mut harness = Harness::new();
    harness.hello(1, builder("a", &["*"], 1));
    let waiter = harness.submit(build("ruby", 1));
    let token = builds(&mut harness)[0].1.token;
    harness.accept(1, token);
    (harness, waiter, token)
}

/// Advances the time while these workers send heartbeats.
fn advance_with_heartbeats(harness: &mut Harness, duration: Duration, peers: &[u64]) {
    for _ in 0..duration.as_secs() {
        for peer in peers {
            harness.receive(*peer, FromWorker::Heartbeat(Load { busy: 1 }));
        }
        harness.advance(Duration::from_secs(1));
    }
}

fn returning_builder(token: Option<Token>, incarnation: u64) -> Hello {
    let jobs = token.map(|token| HeldJob { token, key: JobKey(1), state: HeldState::Running });
    let incarnation = Incarnation(incarnation);
    Hello { jobs: jobs.into_iter().collect(), incarnation, ..builder("a", &["*"], 1) }
}

#[test]
fn scoped_builder_comes_before_generic() {
    let mut harness = Harness::new();
    harness.hello(1, hello("runner", &["ruby"], 5, &["ruby"]));
    harness.hello(2, builder("generic", &["*"], 5));
    harness.hello(3, builder("scoped", &["ruby"], 1));
    let peers = |harness: &mut Harness| builds(harness).iter().map(|(peer, _)| *peer).collect::<Vec<_>>();
    harness.submit(build("ruby", 1));
    assert_eq!(peers(&mut harness), [3]);
    harness.submit(build("ruby", 2));
    harness.submit(build("python", 3));
    assert_eq!(peers(&mut harness), [2, 2]);
}

#[test]
fn build_without_builder_is_refused() {
    let mut harness = Harness::new();
    harness.hello(1, hello("runner", &["ruby"], 5, &["ruby"]));
    let waiter = harness.submit(build("ruby", 1));
    assert_eq!(harness.reason(waiter), Some(Reason::NoWorker));
}

#[test]
fn same_reference_joins_the_running_build() {
    let (mut harness, first, token) = building();
    let second = harness.submit(build("ruby", 1));
    harness.finish(1, token, Reason::Ok);
    assert_eq!([harness.reason(first), harness.reason(second)], [Some(Reason::Ok); 2]);
    let third = harness.submit(build("ruby", 1));
    assert_eq!((harness.reason(third), builds(&mut harness).len()), (None, 1));
}

#[test]
fn build_waits_up_to_its_wall_limit() {
    let (mut harness, _, token) = building();
    let waiting = harness.submit(build("python", 2));
    advance_with_heartbeats(&mut harness, MINUTE * 14, &[1]);
    harness.finish(1, token, Reason::Ok);
    assert_eq!(builds(&mut harness).len(), 1);
    let late = harness.submit(build("csharp", 3));
    advance_with_heartbeats(&mut harness, MINUTE * 15, &[1]);
    assert_eq!(harness.reason(late), Some(Reason::QueueDeadline));
    advance_with_heartbeats(&mut harness, MINUTE, &[1]);
    assert_eq!(harness.reason(waiting), Some(Reason::Deadline));
}

#[test]
fn returning_builder_keeps_its_build() {
    let (mut harness, waiter, token) = building();
    harness.hello(2, builder("b", &["*"], 1));
    harness.on(Event::Disconnected { peer: Peer(1) });
    advance_with_heartbeats(&mut harness, Duration::from_secs(29), &[2]);
    harness.hello(3, returning_builder(Some(token), 1));
    advance_with_heartbeats(&mut harness, MINUTE * 5, &[2, 3]);
    assert_eq!((harness.reason(waiter), builds(&mut harness).len()), (None, 0));
    harness.finish(3, token, Reason::Ok);
    assert_eq!(harness.reason(waiter), Some(Reason::Ok));
}

#[test]
fn lost_build_is_not_retried() {
    let (mut harness, waiter, _) = building();
    harness.hello(2, builder("b", &["*"], 1));
    harness.on(Event::Disconnected { peer: Peer(1) });
    advance_with_heartbeats(&mut harness, Duration::from_secs(31), &[2]);
    assert_eq!((harness.reason(waiter), builds(&mut harness).len()), (Some(Reason::WorkerLost), 0));
}

#[test]
fn restarted_builder_loses_its_build() {
    let (mut harness, waiter, _) = building();
    harness.hello(2, returning_builder(None, 2));
    assert_eq!((harness.reason(waiter), builds(&mut harness).len()), (Some(Reason::WorkerLost), 0));
}

#[test]
fn undelivered_build_goes_to_another_builder() {
    let mut harness = Harness::new();
    harness.hello(1, builder("a", &["*"], 1));
    let waiter = harness.submit(build("ruby", 1));
    harness.hello(2, builder("b", &["*"], 1));
    builds(&mut harness);
    harness.on(Event::Disconnected { peer: Peer(1) });
    assert_eq!(builds(&mut harness).len(), 0, "it may have reached it");
    harness.hello(3, returning_builder(None, 1));
    let sent = builds(&mut harness);
    assert_eq!(sent.iter().map(|(peer, _)| *peer).collect::<Vec<_>>(), [2]);
    harness.finish(2, sent[0].1.token, Reason::Ok);
    assert_eq!(harness.reason(waiter), Some(Reason::Ok));
}

#[test]
fn build_progress_from_queue_to_end() {
    let (mut harness, _, token) = building();
    harness.submit(build("python", 2));
    let page = LogPage { lines: vec!["step 1".to_owned()], next: 1 };
    harness.receive(1, FromWorker::Log(BuildLog { token, page: page.clone() }));
    let state = |harness: &Harness, key| harness.dispatch.build_progress(JobKey(key), 0).state;
    assert_eq!(harness.dispatch.build_progress(JobKey(1), 0).log, page);
    assert_eq!(harness.dispatch.build_progress(JobKey(1), 1).log.lines.len(), 0);
    assert_eq!((state(&harness, 1), state(&harness, 2)), (BuildState::Running, BuildState::Waiting));
    harness.finish(1, token, Reason::Ok);
    assert_eq!((state(&harness, 1), state(&harness, 2)), (BuildState::None, BuildState::Running));
}

#[test]
fn returned_build_goes_to_another_builder() {
    let (mut harness, _, token) = building();
    harness.hello(2, builder("b", &["*"], 1));
    harness.receive(1, FromWorker::Returned(Returned { token, why: "draining".to_owned() }));
    assert_eq!(builds(&mut harness)[0].0, 2);
}
