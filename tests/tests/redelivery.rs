//! Workers and routers die, freeze and come back; each accepted request still gets one answer. The router is real; the
//! workers speak the protocol and run nothing, so that the tests control each moment.
#![cfg(test)]

use std::time::Duration;

use e2e::config::Config;
use e2e::fake_worker::{AutomaticWorker, FakeWorker, hello};
use e2e::request::{expect, pinned, test_solution, version, with};
use e2e::router::Router;
use e2e::wait::seconds;
use serde_json::{Value, json};
use trackyard_protocol::reason::Reason;
use trackyard_protocol::worker::{
    Ack, AfterDrain, FromRouter, FromWorker, HeldJob, HeldState, Hello, Job, Returned, Verdict,
};

fn config() -> Config {
    Config::layout("/nonexistent/images".as_ref()).deployed("test_runners", "ruby", &[&pinned('a')])
}

fn ruby(id: &str) -> Value {
    test_solution(id, "ruby", "file:///srv/submissions/1", &version('a'))
}

fn worker(name: &str) -> Hello {
    hello(name, &["ruby"], 1, &[("ruby", &pinned('a'))])
}

fn held(job: &Job, state: HeldState) -> Vec<HeldJob> {
    vec![HeldJob { token: job.token, key: job.key, state }]
}

#[test]
fn dead_workers_job_runs_elsewhere() {
    let router = Router::start(&config());
    let mut first = FakeWorker::join(&router, worker("ruby-1"));
    let client = router.client();
    client.send(&ruby("1")).unwrap();
    first.job(seconds(5)).unwrap();
    let mut second = FakeWorker::join(&router, worker("ruby-2"));
    drop(first);
    let job = second.job(seconds(6)).expect("a second attempt");
    assert_eq!(job.attempt, 2);
    second.finish(&job);
    let answer = client.receive(seconds(5)).unwrap();
    expect(&answer, 200, "ok");
    assert_eq!((&answer.context["worker"], &answer.context["attempt"]), (&json!("ruby-2"), &json!(2)));
}

#[test]
fn job_that_lost_two_workers_is_poison() {
    let router = Router::start(&config());
    let client = router.client();
    let mut first = FakeWorker::join(&router, worker("ruby-1"));
    client.send(&ruby("1")).unwrap();
    first.job(seconds(5)).unwrap();
    let mut second = FakeWorker::join(&router, worker("ruby-2"));
    let _third = AutomaticWorker::start(&router, hello("any-1", &[], 1, &[]), Duration::ZERO);
    drop(first);
    second.job(seconds(6)).unwrap();
    drop(second);
    expect(&client.receive(seconds(8)).unwrap(), 510, "poison");
    expect(&router.ask(&ruby("1")), 510, "poison");
}

#[test]
fn lost_worker_near_the_deadline_is_504() {
    let router = Router::start(&config());
    let mut only = FakeWorker::join(&router, worker("ruby-1"));
    let client = router.client();
    client.send(&ruby("1")).unwrap();
    only.job(seconds(5)).unwrap();
    drop(only);
    let answer = client.receive(seconds(30)).unwrap();
    assert_eq!(answer.status.status_code, 504, "{:?}", answer.status);
}

#[test]
fn returned_job_does_not_count_as_attempt() {
    let router = Router::start(&config());
    let mut first = FakeWorker::join(&router, worker("ruby-1"));
    let client = router.client();
    client.send(&ruby("1")).unwrap();
    let job = first.job(seconds(5)).unwrap();
    let mut second = FakeWorker::join(&router, worker("ruby-2"));
    first.send(FromWorker::Draining);
    first.send(FromWorker::Returned(Returned { token: job.token, why: "draining".to_owned() }));
    let job = second.job(seconds(5)).unwrap();
    assert_eq!(job.attempt, 1);
    second.finish(&job);
    expect(&client.receive(seconds(5)).unwrap(), 200, "ok");
}

#[test]
fn returning_worker_keeps_its_job() {
    let router = Router::start(&config());
    let mut first = FakeWorker::join(&router, worker("ruby-1"));
    let client = router.client();
    client.send(&ruby("1")).unwrap();
    let job = first.job(seconds(5)).unwrap();
    let mut hello = first.hello.clone();
    drop(first);
    hello.jobs = held(&job, HeldState::Running);
    let again = FakeWorker::join(&router, hello);
    again.finish(&job);
    let answer = client.receive(seconds(5)).unwrap();
    expect(&answer, 200, "ok");
    assert_eq!(answer.context["attempt"], 1);
}

#[test]
fn same_id_is_answered_across_router_restart() {
    let mut router = Router::start(&config());
    let mut first = FakeWorker::join(&router, worker("ruby-1"));
    let client = router.client();
    client.send(&ruby("1")).unwrap();
    let job = first.job(seconds(5)).unwrap();
    router.kill();
    router.restart(&[]);
    first.set_held_jobs(held(&job, HeldState::Running));
    let mut again = FakeWorker::join(&router, first.hello.clone());
    drop(first);
    // The client sends the same request again, as documented.
    let client = router.client();
    client.send(&ruby("1")).unwrap();
    assert!(again.job(seconds(3)).is_none(), "the job is running; it must not be sent again");
    again.finish(&job);
    let acknowledged = again.wait_for(seconds(5), |message| match message {
        FromRouter::Ack(ack) => Some((ack.token, ack.ack)),
        _ => None,
    });
    assert_eq!(acknowledged, Some((job.token, Ack::Stored)));
    let answer = client.receive(seconds(5)).unwrap();
    expect(&answer, 200, "ok");
    assert_eq!(answer.response["id"], "1");
}

#[test]
fn new_router_takes_over_held_result() {
    let mut router = Router::start(&config());
    let mut first = FakeWorker::join(&router, worker("ruby-1"));
    let client = router.client();
    client.send(&ruby("0")).unwrap();
    client.send(&ruby("1")).unwrap();
    let zero = first.job(seconds(5)).unwrap();
    first.finish(&zero);
    let job = first.job(seconds(5)).unwrap();
    router.kill();
    router.restart(&[]);
    first.set_held_jobs(held(&job, HeldState::Finished));
    let again = FakeWorker::join(&router, first.hello.clone());
    again.finish(&job);
    let answer = router.ask(&ruby("1"));
    expect(&answer, 200, "ok");
    assert_eq!(answer.response["id"], "1");
}

#[test]
fn repeated_request_joins_or_replays() {
    let router = Router::start(&config());
    let mut only = FakeWorker::join(&router, worker("ruby-1"));
    let first = router.client();
    let second = router.client();
    first.send(&ruby("1")).unwrap();
    let job = only.job(seconds(5)).unwrap();
    second.send(&ruby("1")).unwrap();
    assert!(only.job(Duration::from_millis(300)).is_none(), "one job for two requests");
    only.finish(&job);
    for client in [&first, &second] {
        expect(&client.receive(seconds(5)).unwrap(), 200, "ok");
    }
    let stored = router.ask(&ruby("1"));
    expect(&stored, 200, "ok");
    assert_eq!(stored.context["replayed"], true);
    first.send(&with(ruby("1"), "fresh", json!(true))).unwrap();
    let fresh = only.job(seconds(5)).expect("a fresh run");
    only.finish(&fresh);
    assert_eq!(first.receive(seconds(5)).unwrap().context["replayed"], Value::Null);
}

#[test]
fn no_503_is_replayed() {
    let router = Router::start(&config());
    expect(&router.ask(&ruby("1")), 503, "no_worker");
    let _worker = AutomaticWorker::start(&router, worker("ruby-1"), Duration::ZERO);
    let answer = router.ask(&ruby("1"));
    expect(&answer, 200, "ok");
    assert_eq!(answer.context["replayed"], Value::Null);
}

#[test]
fn retryable_answer_is_not_stored() {
    let router = Router::start(&config());
    let mut only = FakeWorker::join(&router, worker("ruby-1"));
    let client = router.client();
    client.send(&ruby("1")).unwrap();
    let job = only.job(seconds(5)).unwrap();
    let mut result = only.result(&job);
    result.verdict = Verdict::new(Reason::Download, "the bucket was away");
    result.response = Vec::new();
    only.send(FromWorker::Result(Box::new(result)));
    expect(&client.receive(seconds(5)).unwrap(), 512, "download");
    client.send(&ruby("1")).unwrap();
    let again = only.job(seconds(5)).expect("the job runs again");
    only.finish(&again);
    expect(&client.receive(seconds(5)).unwrap(), 200, "ok");
}

#[test]
fn force_worker_restart_bootstraps_older_workers() {
    let mut router = Router::start(&config());
    let first = FakeWorker::join(&router, worker("ruby-1"));
    let hello = first.hello.clone();
    drop(first);
    router.kill();
    router.restart(&["--force-worker-restart"]);
    let mut old = FakeWorker::join(&router, hello);
    let then = old.wait_for(seconds(10), |message| match message {
        FromRouter::Drain(drain) => Some(drain.then),
        _ => None,
    });
    assert_eq!(then, Some(AfterDrain::Bootstrap));
    let mut new = FakeWorker::join(&router, worker("ruby-2"));
    let drained = new.wait_for(seconds(1), |message| matches!(message, FromRouter::Drain(_)).then_some(()));
    assert!(drained.is_none(), "a worker of this epoch was drained");
}

#[test]
fn stopping_router_finishes_running_jobs() {
    let mut router = Router::start(&config());
    let mut only = FakeWorker::join(&router, worker("ruby-1"));
    let client = router.client();
    client.send(&ruby("runs")).unwrap();
    let job = only.job(seconds(5)).unwrap();
    client.send(&ruby("waits")).unwrap();
    router.process().signal(rustix::process::Signal::TERM);
    let waiting = client.receive(seconds(5)).unwrap();
    expect(&waiting, 503, "draining");
    assert_eq!(waiting.context["id"], "waits");
    only.finish(&job);
    let answer = client.receive(seconds(5)).unwrap();
    expect(&answer, 200, "ok");
    assert_eq!(answer.context["id"], "runs");
    assert!(router.process().wait_for_exit(seconds(10)).success());
}
