//! The dispatcher in a world of clients and workers that die, freeze, return and lose their connections, with a
//! router that restarts and stalls, in simulated time. Every run is given by its seed; a failing one prints it.

mod check;
mod client;
mod fault;
mod plan;
mod random;
mod router;
mod worker;
mod world;

use std::collections::BTreeMap;

use trackyard_router::dispatch::Sabotage;

use world::{Report, World};

/// Simulated seconds of trouble in one run; the world is healed after, and must come to rest.
const SECONDS: u64 = 240;

fn run(seed: u64, sabotage: Option<Sabotage>) -> Report {
    World::new(seed, sabotage).run(SECONDS)
}

fn run_all(seeds: std::ops::Range<u64>) -> Vec<Report> {
    let runs = seeds.map(|seed| (seed, std::thread::spawn(move || run(seed, None))));
    let runs: Vec<_> = runs.collect();
    let report = |(seed, run): (u64, std::thread::JoinHandle<Report>)| {
        run.join().unwrap_or_else(|_| panic!("the run with seed {seed} panicked"))
    };
    runs.into_iter().map(report).collect()
}

#[test]
fn each_job_ends_as_promised_in_a_million_events() {
    let reports = run_all(1..25);
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut events = 0;
    for report in &reports {
        println!("seed {}: {} events {:#?}", report.seed, report.events, report.violations);
    }
    for report in &reports {
        assert_eq!(report.violations, Vec::<String>::new(), "with seed {}", report.seed);
        events += report.events;
        for (what, times) in &report.seen {
            *seen.entry(what.clone()).or_default() += times;
        }
    }
    println!("{events} events: {seen:#?}");
    assert!(events >= 1_000_000, "only {events} events");
    for what in [
        "200 ok",
        "510 poison",
        "503 no_worker",
        "503 queue_full",
        "504 queue_deadline",
        "504 worker_lost",
        "504 deadline",
        "505 not_deployed",
        "joined",
        "replayed",
        "adopted",
        "redelivered",
        "returned",
        "late_result",
        "worker_lost",
        "worker_returned",
        "router restarts",
        "stalls",
        "resent after a restart",
    ] {
        assert!(seen.contains_key(what), "{what} never happened");
    }
}

fn assert_found(sabotage: Sabotage, word: &str) {
    let found = (100..106).find_map(|seed| {
        let violations = run(seed, Some(sabotage)).violations;
        violations.into_iter().find(|violation| violation.contains(word))
    });
    assert!(found.is_some(), "{sabotage:?} went unnoticed");
}

#[test]
fn a_skipped_ack_is_found() {
    assert_found(Sabotage::SkipAck, "never acknowledged");
}

#[test]
fn a_skipped_epoch_check_is_found() {
    assert_found(Sabotage::SkipEpochCheck, "");
}

#[test]
fn a_third_attempt_is_found() {
    assert_found(Sabotage::ThirdAttempt, "third attempt");
}

#[test]
fn a_wrong_waiter_is_found() {
    assert_found(Sabotage::WrongWaiter, "another job's answer");
}

#[test]
fn a_leaked_slot_is_found() {
    assert_found(Sabotage::LeakedSlot, "slots filled");
}
