//! How jobs end, and what a repeated request gets.

use std::time::Duration;

use rstest::rstest;
use trackyard_protocol::reason::Reason;
use trackyard_protocol::token::{Epoch, JobKey, Token};
use trackyard_protocol::worker::{
    Ack, Acknowledge, Cancel, FromRouter, FromWorker, HeldJob, HeldState, Load, Returned,
};

use super::harness::{Bench, hello, new_job, settings, with};
use crate::dispatch::{Counter, Event, NewJob, Peer};

fn one_worker() -> Bench {
    let mut bench = Bench::new();
    bench.hello(1, hello("a", &["ruby"], 1, &["ruby"]));
    bench
}

fn with_deadline(millis: u64) -> NewJob {
    let job = new_job("ruby", u128::from(millis));
    with(job, |request| request.deadline = Some(Duration::from_millis(millis)))
}

#[test]
fn requests_for_the_same_job_share_one_run_and_then_its_answer() {
    let mut bench = one_worker();
    let first = bench.ask(new_job("ruby", 1));
    let second = bench.ask(new_job("ruby", 1));
    let (peer, job) = bench.job();
    bench.end(peer, job.token, Reason::ExitCode);
    assert!(bench.was_sent(1, &FromRouter::Ack(Acknowledge { token: job.token, ack: Ack::Stored })));
    let third = bench.ask(new_job("ruby", 1));
    let replayed = [first, second, third].map(|waiter| bench.answers[&waiter].replayed);
    assert_eq!(replayed, [false, false, true]);
    let fresh = bench.ask(with(new_job("ruby", 1), |request| request.fresh = true));
    assert_eq!((bench.reason(fresh), bench.jobs().len()), (None, 1));
}

#[test]
fn a_passing_failure_is_never_replayed() {
    let mut bench = one_worker();
    bench.ask(new_job("ruby", 1));
    let (peer, job) = bench.job();
    bench.end(peer, job.token, Reason::Download);
    let again = bench.ask(new_job("ruby", 1));
    assert_eq!((bench.reason(again), bench.jobs().len()), (None, 1));
}

#[test]
fn the_clients_own_deadline_bounds_everything() {
    let mut bench = one_worker();
    let hopeless = bench.ask(with_deadline(10));
    assert_eq!(bench.reason(hopeless), Some(Reason::Deadline));
    let running = bench.ask(with_deadline(1000));
    let waiting = bench.ask(with_deadline(999));
    let (peer, job) = bench.job();
    assert_eq!((peer, job.total_ms), (1, 1000));
    bench.pass(Duration::from_millis(950));
    assert_eq!((bench.reason(running), bench.reason(waiting)), (None, Some(Reason::Deadline)));
    bench.pass(Duration::from_millis(50));
    assert_eq!(bench.reason(running), Some(Reason::Deadline));
    assert!(bench.was_sent(1, &FromRouter::Cancel(Cancel { token: job.token })));
    // The slot is free only once the worker has said so.
    bench.ask(new_job("ruby", 7));
    assert_eq!(bench.jobs().len(), 0);
    bench.say(1, FromWorker::Returned(Returned { token: job.token, why: "cancelled".to_owned() }));
    assert_eq!(bench.job().1.key, JobKey(7));
}

#[test]
fn an_impatient_client_does_not_end_the_job_of_a_patient_one() {
    let mut bench = one_worker();
    let patient = bench.ask(new_job("ruby", 5));
    let impatient = bench.ask(NewJob { key: JobKey(5), ..with_deadline(500) });
    bench.pass(Duration::from_millis(500));
    assert_eq!((bench.reason(patient), bench.reason(impatient)), (None, Some(Reason::Deadline)));
}

#[test]
fn an_attempt_that_takes_too_long_is_cancelled() {
    let mut bench = one_worker();
    let waiter = bench.ask(new_job("ruby", 1));
    let (_, job) = bench.job();
    assert_eq!((job.setup_ms, job.total_ms), (15_000, 40_000));
    for _ in 0..39 {
        bench.pass(Duration::from_secs(1));
        bench.say(1, FromWorker::Heartbeat(Load::default()));
    }
    assert_eq!(bench.reason(waiter), None);
    bench.pass(Duration::from_secs(1));
    assert_eq!(bench.reason(waiter), Some(Reason::Deadline));
    assert!(bench.was_sent(1, &FromRouter::Cancel(Cancel { token: job.token })));
}

#[test]
fn a_lost_job_runs_elsewhere_and_a_second_loss_is_poison() {
    let mut bench = one_worker();
    bench.hello(2, hello("b", &["*"], 1, &["ruby"]));
    let waiter = bench.ask(new_job("ruby", 1));
    let (first, job) = bench.job();
    bench.accept(first, job.token);
    bench.on(Event::Gone { peer: Peer(first) });
    let (second, again) = bench.job();
    assert_eq!((first, second, again.attempt), (1, 2, 2));
    bench.accept(second, again.token);
    bench.on(Event::Gone { peer: Peer(second) });
    assert_eq!(bench.reason(waiter), Some(Reason::Poison));
    bench.hello(3, hello("c", &["ruby"], 1, &["ruby"]));
    let same = bench.ask(new_job("ruby", 1));
    assert_eq!(bench.reason(same), Some(Reason::Poison));
    bench.pass(Duration::from_secs(600));
    bench.hello(4, hello("d", &["ruby"], 1, &["ruby"]));
    bench.ask(new_job("ruby", 1));
    assert_eq!(bench.jobs().len(), 1);
}

#[test]
fn a_job_given_back_after_two_losses_runs_on_no_third_worker() {
    let mut bench = one_worker();
    let waiter = bench.ask(new_job("ruby", 1));
    let (_, first) = bench.job();
    bench.on(Event::Gone { peer: Peer(1) });
    bench.hello(2, hello("b", &["*"], 1, &["ruby"]));
    let (_, second) = bench.job();
    bench.accept(2, second.token);
    bench.on(Event::Gone { peer: Peer(2) });
    bench.hello(3, hello("c", &["*"], 1, &["ruby"]));
    let (_, third) = bench.job();
    bench.accept(3, third.token);
    // The first comes back with the job after all, and is lost with it.
    let mut back = hello("a", &["ruby"], 1, &["ruby"]);
    back.jobs = vec![HeldJob { token: first.token, key: first.key, state: HeldState::Running }];
    bench.hello(4, back);
    bench.on(Event::Gone { peer: Peer(4) });
    assert_eq!(bench.reason(waiter), None);
    let why = "draining".to_owned();
    bench.say(3, FromWorker::Returned(Returned { token: third.token, why }));
    assert_eq!((bench.jobs().len(), bench.reason(waiter)), (0, Some(Reason::Poison)));
}

#[test]
fn a_job_that_was_never_accepted_is_free_to_send_again() {
    let mut bench = one_worker();
    bench.ask(new_job("ruby", 1));
    let (_, job) = bench.job();
    bench.hello(2, hello("a", &["ruby"], 1, &["ruby"]));
    let (peer, again) = bench.job();
    assert_eq!((peer, again.attempt), (2, 1));
    assert_ne!(again.token, job.token);
}

#[test]
fn a_lost_worker_that_returns_keeps_its_job() {
    let mut bench = one_worker();
    let waiter = bench.ask(new_job("ruby", 1));
    let (_, job) = bench.job();
    bench.accept(1, job.token);
    bench.on(Event::Gone { peer: Peer(1) });
    let mut back = hello("a", &["ruby"], 1, &["ruby"]);
    back.jobs = vec![HeldJob { token: job.token, key: job.key, state: HeldState::Running }];
    bench.hello(2, back);
    assert_eq!(bench.jobs().len(), 0);
    bench.end(2, job.token, Reason::Ok);
    assert_eq!((bench.reason(waiter), bench.answers[&waiter].attempt), (Some(Reason::Ok), Some(1)));
}

#[test]
fn after_a_restart_a_resent_request_gets_the_answer_of_the_job_that_ran_before() {
    for (reason, replayed_later) in [(Reason::Ok, true), (Reason::Download, false)] {
        let mut bench = Bench::recovering(settings());
        let old = Token { epoch: Epoch(1), sequence: 5 };
        let mut holding = hello("a", &["ruby"], 1, &["ruby"]);
        holding.jobs = vec![HeldJob { token: old, key: JobKey(9), state: HeldState::Finished }];
        bench.hello(1, holding);
        bench.end(1, old, reason);
        assert!(bench.was_sent(1, &FromRouter::Ack(Acknowledge { token: old, ack: Ack::Stored })));
        let resent = bench.ask(new_job("ruby", 9));
        assert_eq!((bench.reason(resent), bench.answers[&resent].replayed), (Some(reason), false));
        let later = bench.ask(new_job("ruby", 9));
        assert_eq!(bench.answers.get(&later).is_some_and(|ending| ending.replayed), replayed_later);
    }
}

#[test]
fn after_a_restart_a_resent_request_joins_the_job_that_still_runs() {
    let mut bench = Bench::recovering(settings());
    let early = bench.ask(new_job("ruby", 9));
    let old = Token { epoch: Epoch(1), sequence: 1 };
    let mut holding = hello("a", &["ruby"], 2, &["ruby"]);
    holding.jobs = vec![HeldJob { token: old, key: JobKey(9), state: HeldState::Running }];
    bench.hello(1, holding);
    bench.pass(Duration::from_secs(2));
    let late = bench.ask(new_job("ruby", 9));
    assert_eq!(bench.jobs().len(), 0);
    bench.end(1, old, Reason::Ok);
    assert_eq!([early, late].map(|waiter| bench.reason(waiter)), [Some(Reason::Ok); 2]);
}

#[rstest]
#[case::asked_before(true, HeldState::Running)]
#[case::asked_while_it_runs(false, HeldState::Running)]
#[case::asked_after_its_answer(false, HeldState::Finished)]
fn a_worker_that_does_not_serve_a_track_adopts_none_of_its_jobs(
    #[case] early: bool,
    #[case] state: HeldState,
) {
    let mut bench = Bench::recovering(settings());
    let asked = early.then(|| bench.ask(new_job("ruby", 9)));
    let old = Token { epoch: Epoch(1), sequence: 1 };
    let mut liar = hello("liar", &["python"], 2, &["python"]);
    liar.jobs = vec![HeldJob { token: old, key: JobKey(9), state }];
    bench.hello(1, liar);
    if state == HeldState::Finished {
        bench.end(1, old, Reason::Ok);
    }
    let asked = asked.unwrap_or_else(|| bench.ask(new_job("ruby", 9)));
    bench.end(1, old, Reason::Ok);
    assert_eq!(bench.reason(asked), None);
    bench.hello(2, hello("honest", &["ruby"], 1, &["ruby"]));
    bench.pass(Duration::from_secs(2));
    let (peer, job) = bench.job();
    assert_eq!((peer, job.attempt), (2, 1));
    bench.end(2, job.token, Reason::Ok);
    assert_eq!(bench.reason(asked), Some(Reason::Ok));
}

#[test]
fn a_result_that_nobody_asked_for_is_dropped_and_acknowledged() {
    let mut bench = one_worker();
    let waiter = bench.ask(new_job("ruby", 1));
    let (_, job) = bench.job();
    bench.hello(2, hello("liar", &["ruby"], 1, &["ruby"]));
    bench.end(2, job.token, Reason::Ok);
    assert!(bench.was_sent(2, &FromRouter::Ack(Acknowledge { token: job.token, ack: Ack::Dropped })));
    assert_eq!(bench.reason(waiter), None);
    assert!(bench.counted.contains(&Counter::UnknownToken));
    bench.end(3, job.token, Reason::Ok);
    assert_eq!(bench.sent.last(), Some(&(3, FromRouter::SayHello)));
}

#[test]
fn a_draining_router_refuses_what_waits_and_finishes_what_runs() {
    let mut bench = one_worker();
    let running = bench.ask(new_job("ruby", 1));
    let waiting = bench.ask(new_job("ruby", 2));
    let (peer, job) = bench.job();
    bench.on(Event::Drain);
    let late = bench.ask(new_job("ruby", 3));
    assert_eq!([waiting, late].map(|waiter| bench.reason(waiter)), [Some(Reason::RouterDraining); 2]);
    assert!(!bench.dispatch.is_idle());
    bench.end(peer, job.token, Reason::Ok);
    assert_eq!(bench.reason(running), Some(Reason::Ok));
    assert!(bench.dispatch.is_idle());
}

#[test]
fn a_job_that_came_back_is_not_started_for_a_client_that_is_about_to_leave() {
    let mut bench = one_worker();
    bench.hello(2, hello("b", &["*"], 1, &["ruby"]));
    let waiter = bench.ask(with_deadline(1000));
    let (peer, job) = bench.job();
    bench.accept(peer, job.token);
    bench.pass(Duration::from_millis(960));
    bench.on(Event::Gone { peer: Peer(peer) });
    assert_eq!((bench.reason(waiter), bench.jobs().len()), (Some(Reason::WorkerLost), 0));
}
