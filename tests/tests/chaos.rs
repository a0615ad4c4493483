//! A short run of the chaos suite; the long one is `make chaos`.
#![cfg(test)]

use e2e::chaos::{Extent, report, run};

/// Of a plan whose first minute has every kind of fault.
const SEED: u64 = 1;
const JOBS: usize = 400;

#[test]
fn whatever_goes_wrong_each_job_ends_once_and_nothing_is_left() {
    let extent = Extent { seed: SEED, jobs: JOBS, rounds: 1 };
    let outcome = run(extent, |line| println!("{line}"));
    println!("{}", report::markdown(extent, &outcome));
    let violations: Vec<String> = outcome.violations.iter().map(ToString::to_string).collect();
    let again = format!("make chaos CHAOS_SEED={SEED} CHAOS_JOBS={JOBS}");
    assert!(violations.is_empty(), "{violations:#?}\nto play it again: {again}");
    assert_eq!(
        outcome.figures.verdicts.iter().map(|(_, answers)| answers).sum::<usize>(),
        outcome.figures.jobs
    );
}
