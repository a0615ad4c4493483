//! How jobs end, and which answer a repeated request gets.

use std::time::Duration;

use rstest::rstest;
use trackyard_protocol::reason::Reason;
use trackyard_protocol::token::{Epoch, JobKey, Token};
use trackyard_protocol::worker::{
    Ack, Acknowledge, Cancel, FromRouter, FromWorker, HeldJob, HeldState, Load, Returned,
};

use super::harness::{Harness, hello, new_job, settings, with};
use crate::dispatch::{Counter, Event, NewJob, Peer};

fn one_worker() -> Harness {
    let mut harness = Harness::new();
    harness.hello(1, hello("a", &["ruby"], 1, &["ruby"]));
    harness
}

fn with_deadline(millis: u64) -> NewJob {
    let job = new_job("ruby", u128::from(millis));
    with(job, |request| request.deadline = Some(Duration::from_millis(millis)))
}

#[test]
fn equal_requests_share_one_run() {
    let mut harness = one_worker();
    let first = harness.submit(new_job("ruby", 1));
    let second = harness.submit(new_job("ruby", 1));
    let (peer, job) = harness.job();
    harness.finish(peer, job.token, Reason::ExitCode);
    assert!(harness.was_sent(1, &FromRouter::Ack(Acknowledge { token: job.token, ack: Ack::Stored })));
    let third = harness.submit(new_job("ruby", 1));
    let replayed = [first, second, third].map(|waiter| harness.answers[&waiter].replayed);
    assert_eq!(replayed, [false, false, true]);
    let fresh = harness.submit(with(new_job("ruby", 1), |request| request.fresh = true));
    assert_eq!((harness.reason(fresh), harness.jobs().len()), (None, 1));
}

#[test]
fn transient_failure_is_never_replayed() {
    let mut harness = one_worker();
    harness.submit(new_job("ruby", 1));
    let (peer, job) = harness.job();
    harness.finish(peer, job.token, Reason::Download);
    let again = harness.submit(new_job("ruby", 1));
    assert_eq!((harness.reason(again), harness.jobs().len()), (None, 1));
}

#[test]
fn client_deadline_bounds_waiting_and_running() {
    let mut harness = one_worker();
    let hopeless = harness.submit(with_deadline(10));
    assert_eq!(harness.reason(hopeless), Some(Reason::Deadline));
    let running = harness.submit(with_deadline(1000));
    let waiting = harness.submit(with_deadline(999));
    let (peer, job) = harness.job();
    assert_eq!((peer, job.total_ms), (1, 1000));
    harness.advance(Duration::from_millis(950));
    assert_eq!((harness.reason(running), harness.reason(waiting)), (None, Some(Reason::Deadline)));
    harness.advance(Duration::from_millis(50));
    assert_eq!(harness.reason(running), Some(Reason::Deadline));
    assert!(harness.was_sent(1, &FromRouter::Cancel(Cancel { token: job.token })));
    // The slot is free only once the worker has returned the job.
    harness.submit(new_job("ruby", 7));
    assert_eq!(harness.jobs().len(), 0);
    harness.receive(1, FromWorker::Returned(Returned { token: job.token, why: "cancelled".to_owned() }));
    assert_eq!(harness.job().1.key, JobKey(7));
}

#[test]
fn expired_request_leaves_the_job_to_others() {
    let mut harness = one_worker();
    let patient = harness.submit(new_job("ruby", 5));
    let impatient = harness.submit(NewJob { key: JobKey(5), ..with_deadline(500) });
    harness.advance(Duration::from_millis(500));
    assert_eq!((harness.reason(patient), harness.reason(impatient)), (None, Some(Reason::Deadline)));
}

#[test]
fn overlong_attempt_is_cancelled() {
    let mut harness = one_worker();
    let waiter = harness.submit(new_job("ruby", 1));
    let (_, job) = harness.job();
    assert_eq!((job.setup_ms, job.total_ms), (15_000, 40_000));
    for _ in 0..39 {
        harness.advance(Duration::from_secs(1));
        harness.receive(1, FromWorker::Heartbeat(Load::default()));
    }
    assert_eq!(harness.reason(waiter), None);
    harness.advance(Duration::from_secs(1));
    assert_eq!(harness.reason(waiter), Some(Reason::Deadline));
    assert!(harness.was_sent(1, &FromRouter::Cancel(Cancel { token: job.token })));
}

#[test]
fn second_lost_attempt_poisons_the_job() {
    let mut harness = one_worker();
    harness.hello(2, hello("b", &["*"], 1, &["ruby"]));
    let waiter = harness.submit(new_job("ruby", 1));
    let (first, job) = harness.job();
    harness.accept(first, job.token);
    harness.on(Event::Disconnected { peer: Peer(first) });
    let (second, again) = harness.job();
    assert_eq!((first, second, again.attempt), (1, 2, 2));
    harness.accept(second, again.token);
    harness.on(Event::Disconnected { peer: Peer(second) });
    assert_eq!(harness.reason(waiter), Some(Reason::Poison));
    harness.hello(3, hello("c", &["ruby"], 1, &["ruby"]));
    let same = harness.submit(new_job("ruby", 1));
    assert_eq!(harness.reason(same), Some(Reason::Poison));
    harness.advance(Duration::from_secs(600));
    harness.hello(4, hello("d", &["ruby"], 1, &["ruby"]));
    harness.submit(new_job("ruby", 1));
    assert_eq!(harness.jobs().len(), 1);
}

#[test]
fn returned_job_with_two_losses_is_poisoned() {
    let mut harness = one_worker();
    let waiter = harness.submit(new_job("ruby", 1));
    let (_, first) = harness.job();
    harness.on(Event::Disconnected { peer: Peer(1) });
    harness.hello(2, hello("b", &["*"], 1, &["ruby"]));
    let (_, second) = harness.job();
    harness.accept(2, second.token);
    harness.on(Event::Disconnected { peer: Peer(2) });
    harness.hello(3, hello("c", &["*"], 1, &["ruby"]));
    let (_, third) = harness.job();
    harness.accept(3, third.token);
    // The first worker comes back with the job after all, and is lost again.
    let mut back = hello("a", &["ruby"], 1, &["ruby"]);
    back.jobs = vec![HeldJob { token: first.token, key: first.key, state: HeldState::Running }];
    harness.hello(4, back);
    harness.on(Event::Disconnected { peer: Peer(4) });
    assert_eq!(harness.reason(waiter), None);
    let why = "draining".to_owned();
    harness.receive(3, FromWorker::Returned(Returned { token: third.token, why }));
    assert_eq!((harness.jobs().len(), harness.reason(waiter)), (0, Some(Reason::Poison)));
}

#[test]
fn unaccepted_attempt_does_not_count() {
    let mut harness = one_worker();
    harness.submit(new_job("ruby", 1));
    let (_, job) = harness.job();
    harness.hello(2, hello("a", &["ruby"], 1, &["ruby"]));
    let (peer, again) = harness.job();
    assert_eq!((peer, again.attempt), (2, 1));
    assert_ne!(again.token, job.token);
}

#[test]
fn returning_worker_keeps_its_job() {
    let mut harness = one_worker();
    let waiter = harness.submit(new_job("ruby", 1));
    let (_, job) = harness.job();
    harness.accept(1, job.token);
    harness.on(Event::Disconnected { peer: Peer(1) });
    let mut back = hello("a", &["ruby"], 1, &["ruby"]);
    back.jobs = vec![HeldJob { token: job.token, key: job.key, state: HeldState::Running }];
    harness.hello(2, back);
    assert_eq!(harness.jobs().len(), 0);
    harness.finish(2, job.token, Reason::Ok);
    assert_eq!((harness.reason(waiter), harness.answers[&waiter].attempt), (Some(Reason::Ok), Some(1)));
}

#[test]
fn resent_request_gets_the_adopted_answer() {
    for (reason, replayed_later) in [(Reason::Ok, true), (Reason::Download, false)] {
        let mut harness = Harness::recovering(settings());
        let old = Token { epoch: Epoch(1), sequence: 5 };
        let mut holding = hello("a", &["ruby"], 1, &["ruby"]);
        holding.jobs = vec![HeldJob { token: old, key: JobKey(9), state: HeldState::Finished }];
        harness.hello(1, holding);
        harness.finish(1, old, reason);
        assert!(harness.was_sent(1, &FromRouter::Ack(Acknowledge { token: old, ack: Ack::Stored })));
        let resent = harness.submit(new_job("ruby", 9));
        assert_eq!((harness.reason(resent), harness.answers[&resent].replayed), (Some(reason), false));
        let later = harness.submit(new_job("ruby", 9));
        assert_eq!(harness.answers.get(&later).is_some_and(|ending| ending.replayed), replayed_later);
    }
}

#[test]
fn resent_request_joins_the_adopted_job() {
    let mut harness = Harness::recovering(settings());
    let early = harness.submit(new_job("ruby", 9));
    let old = Token { epoch: Epoch(1), sequence: 1 };
    let mut holding = hello("a", &["ruby"], 2, &["ruby"]);
    holding.jobs = vec![HeldJob { token: old, key: JobKey(9), state: HeldState::Running }];
    harness.hello(1, holding);
    harness.advance(Duration::from_secs(2));
    let late = harness.submit(new_job("ruby", 9));
    assert_eq!(harness.jobs().len(), 0);
    harness.finish(1, old, Reason::Ok);
    assert_eq!([early, late].map(|waiter| harness.reason(waiter)), [Some(Reason::Ok); 2]);
}

#[rstest]
#[case::asked_before(true, HeldState::Running)]
#[case::asked_while_it_runs(false, HeldState::Running)]
#[case::asked_after_its_answer(false, HeldState::Finished)]
fn worker_cannot_claim_a_job_of_another_track(#[case] early: bool, #[case] state: HeldState) {
    let mut harness = Harness::recovering(settings());
    let asked = early.then(|| harness.submit(new_job("ruby", 9)));
    let old = Token { epoch: Epoch(1), sequence: 1 };
    let mut liar = hello("liar", &["python"], 2, &["python"]);
    liar.jobs = vec![HeldJob { token: old, key: JobKey(9), state }];
    harness.hello(1, liar);
    if state == HeldState::Finished {
        harness.finish(1, old, Reason::Ok);
    }
    let asked = asked.unwrap_or_else(|| harness.submit(new_job("ruby", 9)));
    harness.finish(1, old, Reason::Ok);
    assert_eq!(harness.reason(asked), None);
    harness.hello(2, hello("honest", &["ruby"], 1, &["ruby"]));
    harness.advance(Duration::from_secs(2));
    let (peer, job) = harness.job();
    assert_eq!((peer, job.attempt), (2, 1));
    harness.finish(2, job.token, Reason::Ok);
    assert_eq!(harness.reason(asked), Some(Reason::Ok));
}

#[test]
fn unrequested_result_is_acknowledged_and_dropped() {
    let mut harness = one_worker();
    let waiter = harness.submit(new_job("ruby", 1));
    let (_, job) = harness.job();
    harness.hello(2, hello("liar", &["ruby"], 1, &["ruby"]));
    harness.finish(2, job.token, Reason::Ok);
    assert!(harness.was_sent(2, &FromRouter::Ack(Acknowledge { token: job.token, ack: Ack::Dropped })));
    assert_eq!(harness.reason(waiter), None);
    assert!(harness.counted.contains(&Counter::UnknownToken));
    harness.finish(3, job.token, Reason::Ok);
    assert_eq!(harness.sent.last(), Some(&(3, FromRouter::SayHello)));
}

#[test]
fn drain_refuses_waiting_and_finishes_running_jobs() {
    let mut harness = one_worker();
    let running = harness.submit(new_job("ruby", 1));
    let waiting = harness.submit(new_job("ruby", 2));
    let (peer, job) = harness.job();
    harness.on(Event::Drain);
    let late = harness.submit(new_job("ruby", 3));
    assert_eq!([waiting, late].map(|waiter| harness.reason(waiter)), [Some(Reason::RouterDraining); 2]);
    assert!(!harness.dispatch.is_idle());
    harness.finish(peer, job.token, Reason::Ok);
    assert_eq!(harness.reason(running), Some(Reason::Ok));
    assert!(harness.dispatch.is_idle());
}

#[test]
fn job_is_not_retried_just_before_its_deadline() {
    let mut harness = one_worker();
    harness.hello(2, hello("b", &["*"], 1, &["ruby"]));
    let waiter = harness.submit(with_deadline(1000));
    let (peer, job) = harness.job();
    harness.accept(peer, job.token);
    harness.advance(Duration::from_millis(960));
    harness.on(Event::Disconnected { peer: Peer(peer) });
    assert_eq!((harness.reason(waiter), harness.jobs().len()), (Some(Reason::WorkerLost), 0));
}
