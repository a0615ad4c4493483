//! Simulates the dispatcher in virtual time, with clients, with workers that die, freeze, return and lose their
//! connections, and with a router that restarts and stalls. The seed determines a run; a failing run prints it.

// `cfg(test)` tells clippy that these modules are tests, which may unwrap and index.
#[cfg(test)]
mod checker;
#[cfg(test)]
mod client;
#[cfg(test)]
mod faults;
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
mod simulation;
#[cfg(test)]
mod worker;

use std::collections::BTreeMap;

use trackyard_router::dispatch::PlantedFault;

use runs::{assert_found, run_all, seeds};

#[test]
fn each_job_ends_as_promised_in_a_million_events() {
    let reports = run_all(seeds(100..124));
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
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
        for (what, times) in &report.counts {
            *counts.entry(what.clone()).or_default() += times;
        }
    }
    println!("{events} events: {counts:#?}");
    report::write(&reports, &counts);
    if runs::all_seeds_run() {
        assert!(events >= 1_000_000, "only {events} events");
        assert_everything_occurred(&counts);
    }
}

fn assert_everything_occurred(counts: &BTreeMap<String, usize>) {
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
        "several messages of a worker in one batch",
        "several messages of the router in one batch",
    ] {
        assert!(counts.contains_key(what), "{what} never happened");
    }
}

#[test]
fn skipped_ack_is_found() {
    assert_found(PlantedFault::SkipAck, "never acknowledged");
}

#[test]
fn skipped_epoch_check_is_found() {
    assert_found(PlantedFault::SkipEpochCheck, "another job's answer");
}

#[test]
fn third_attempt_is_found() {
    assert_found(PlantedFault::ThirdAttempt, "third attempt");
}

#[test]
fn wrong_waiter_is_found() {
    assert_found(PlantedFault::WrongWaiter, "another job's answer");
}

#[test]
fn leaked_slot_is_found() {
    assert_found(PlantedFault::LeakedSlot, "slots filled");
}

#[test]
fn dropped_answer_is_found() {
    assert_found(PlantedFault::DroppedAnswer, "no answer for");
}

#[test]
fn double_answer_is_found() {
    assert_found(PlantedFault::DoubleAnswer, "an answer that nobody waits for");
}

#[test]
fn late_answer_is_found() {
    assert_found(PlantedFault::LateAnswer, "answered too late");
}

#[test]
fn hasty_start_is_found() {
    assert_found(PlantedFault::HastyStart, "while workers still report");
}

#[test]
fn replayed_failure_is_found() {
    assert_found(PlantedFault::ReplayedFailure, "was replayed");
}

#[test]
fn skipped_adoption_is_found() {
    assert_found(PlantedFault::SkipAdoption, "without a free slot");
}
