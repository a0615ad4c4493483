//! The dispatcher in a world of clients and workers that die, freeze, return and lose their connections, with a
//! router that restarts and stalls, in simulated time. Every run is given by its seed; a failing one prints it.

// `cfg(test)` tells the linter that these are tests, which may unwrap and index.
#[cfg(test)]
mod check;
#[cfg(test)]
mod client;
#[cfg(test)]
mod fault;
#[cfg(test)]
mod plan;
#[cfg(test)]
mod random;
#[cfg(test)]
mod report;
#[cfg(test)]
mod router;
#[cfg(test)]
mod runs;
#[cfg(test)]
mod worker;
#[cfg(test)]
mod world;

use std::collections::BTreeMap;

use trackyard_router::dispatch::Sabotage;

use runs::{assert_found, run_all, seeds};

#[test]
fn each_job_ends_as_promised_in_a_million_events() {
    let reports = run_all(seeds(100..124));
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut events = 0;
    for report in &reports {
        assert_eq!(
            report.violations,
            Vec::<String>::new(),
            "SIMULATION_SEEDS={0}..{1}",
            report.seed,
            report.seed + 1
        );
        events += report.events;
        for (what, times) in &report.seen {
            *seen.entry(what.clone()).or_default() += times;
        }
    }
    println!("{events} events: {seen:#?}");
    report::write(&reports, &seen);
    if runs::all_are_played() {
        assert!(events >= 1_000_000, "only {events} events");
        assert_everything_happened(&seen);
    }
}

fn assert_everything_happened(seen: &BTreeMap<String, usize>) {
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
        "builds",
        "late_result",
        "worker_lost",
        "worker_returned",
        "router restarts",
        "stalls",
        "resent after a restart",
        "several words of a worker in one message",
        "several words of the router in one message",
    ] {
        assert!(seen.contains_key(what), "{what} never happened");
    }
}

#[test]
fn a_skipped_ack_is_found() {
    assert_found(Sabotage::SkipAck, "never acknowledged");
}

#[test]
fn a_skipped_epoch_check_is_found() {
    assert_found(Sabotage::SkipEpochCheck, "another job's answer");
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

#[test]
fn a_dropped_answer_is_found() {
    assert_found(Sabotage::DroppedAnswer, "no answer for");
}

#[test]
fn a_double_answer_is_found() {
    assert_found(Sabotage::DoubleAnswer, "an answer that nobody waits for");
}

#[test]
fn a_late_answer_is_found() {
    assert_found(Sabotage::LateAnswer, "answered too late");
}

#[test]
fn a_hasty_start_is_found() {
    assert_found(Sabotage::HastyStart, "while workers still report");
}

#[test]
fn a_replayed_failure_is_found() {
    assert_found(Sabotage::ReplayedFailure, "was replayed");
}

#[test]
fn a_skipped_adoption_is_found() {
    assert_found(Sabotage::SkipAdoption, "without a free slot");
}
