//! A short run of the chaos suite; the long one is `make chaos`.
#![cfg(test)]

use e2e::chaos::{RunOptions, report, run};

/// Seed of a plan whose first minute has every kind of fault.
const SEED: u64 = 1;
const JOBS: usize = 400;

#[test]
fn faults_lose_no_job_and_leave_nothing_behind() {
    let options = RunOptions { seed: SEED, jobs: JOBS, rounds: 1 };
    let outcome = run(options, |line| println!("{line}"));
    println!("{}", report::markdown(options, &outcome));
    let violations: Vec<String> = outcome.violations.iter().map(ToString::to_string).collect();
    let command = format!("make chaos CHAOS_SEED={SEED} CHAOS_JOBS={JOBS}");
    assert!(violations.is_empty(), "{violations:#?}\nto repeat this run: {command}");
    assert_eq!(
        outcome.measurements.verdicts.iter().map(|(_, answers)| answers).sum::<usize>(),
        outcome.measurements.jobs
    );
}
