//! Writes the measurements as Markdown, and compares them with their targets.

use std::fmt::Write;
use std::time::Duration;

use super::measurements::Measurements;
use super::run::{RunOptions, RunOutcome};

/// Target for the time from a worker's death to the start of its job elsewhere.
pub const MAX_KILL_RECOVERY: Duration = Duration::from_millis(200);
/// Target for the time from a worker's freeze to the start of its job elsewhere.
pub const MAX_FREEZE_RECOVERY: Duration = Duration::from_millis(3500);
/// Target for the time from a start of the router until it knows every running job.
pub const MAX_ROUTER_RESTART: Duration = Duration::from_secs(2);

/// Returns a line for each median that is over its target.
#[must_use]
pub fn missed_targets(measurements: &Measurements) -> Vec<String> {
    let targets = [
        ("the job of a killed worker runs elsewhere", &measurements.kill_recovery, MAX_KILL_RECOVERY),
        ("the job of a frozen worker runs elsewhere", &measurements.freeze_recovery, MAX_FREEZE_RECOVERY),
        ("a restarted router knows the running jobs", &measurements.router_restart, MAX_ROUTER_RESTART),
    ];
    let missed = targets.into_iter().filter(|(_, times, target)| times.median() > Some(*target));
    missed.map(|(what, times, target)| format!("{what}: over {} ms: {times}", target.as_millis())).collect()
}

/// Returns the run's section of the report.
///
/// # Panics
/// Never: writing into a string cannot fail.
#[must_use]
pub fn markdown(options: RunOptions, outcome: &RunOutcome) -> String {
    let RunOutcome { measurements, took, violations } = outcome;
    let mut text = format!(
        "Seed {}: {} jobs in {} s, {} violations. {} containers were started, {} of them as second attempts; {} \
         requests were sent again after a death of the router.\n",
        options.seed,
        measurements.jobs,
        took.as_secs(),
        violations.len(),
        measurements.runs,
        measurements.redeliveries,
        measurements.resent
    );
    let faults = measurements.faults.iter().map(|(kind, times)| format!("{} | {times}", kind.name()));
    table(&mut text, "fault | times", faults);
    let verdicts = measurements.verdicts.iter().map(|(verdict, answers)| format!("{verdict} | {answers}"));
    table(&mut text, "verdict | answers", verdicts);
    let rows = [
        ("death of a worker to its job's start elsewhere, slots free", "200", &measurements.kill_recovery),
        ("the same under load", "–", &measurements.kill_recovery_under_load),
        (
            "freeze of a worker to its job's start elsewhere, slots free",
            "3500",
            &measurements.freeze_recovery,
        ),
        ("the same under load", "–", &measurements.freeze_recovery_under_load),
        ("start of the router until it knows every running job", "2000", &measurements.router_restart),
    ];
    let rows = rows.into_iter().map(|(what, target, times)| format!("{what} | {target} | {times}"));
    table(&mut text, "recovery, in milliseconds | target | measured | min | median | max", rows);
    text
}

fn table(text: &mut String, head: &str, rows: impl Iterator<Item = String>) {
    let rule = vec!["---"; head.split('|').count()].join(" | ");
    text.push('\n');
    for row in [head.to_owned(), rule].into_iter().chain(rows) {
        writeln!(text, "| {row} |").expect("writing into a string cannot fail");
    }
}
