//! The figures as Markdown.

use std::fmt::Write;
use std::time::Duration;

use super::figures::{Figures, Spread};
use super::run::{Extent, Outcome};

/// A worker's death to the start of its job elsewhere, at most.
pub const KILLED: Duration = Duration::from_millis(200);
/// The same for a freeze.
pub const FROZEN: Duration = Duration::from_millis(3500);
/// The router's start to its knowing every job in hand, at most.
pub const KNOWN: Duration = Duration::from_secs(2);

/// The medians that are over their targets.
#[must_use]
pub fn missed(figures: &Figures) -> Vec<String> {
    let targets = [
        ("the job of a killed worker runs elsewhere", &figures.killed, KILLED),
        ("the job of a frozen worker runs elsewhere", &figures.frozen, FROZEN),
        ("a restarted router knows the jobs in hand", &figures.known, KNOWN),
    ];
    let over = |spread: &Spread, most| spread.median().is_some_and(|median| median > most);
    let missed = targets.into_iter().filter(|(_, spread, most)| over(spread, *most));
    missed.map(|(what, spread, most)| format!("{what}: over {} ms: {spread}", most.as_millis())).collect()
}

/// The section of a run.
///
/// # Panics
/// Never: a string takes all that is written.
#[must_use]
pub fn markdown(extent: Extent, outcome: &Outcome) -> String {
    let Outcome { figures, took, violations } = outcome;
    let mut text = format!(
        "Seed {}: {} jobs in {} s, {} violations. {} containers were started, {} of them as second attempts; {} \
         requests were sent again after a death of the router.\n\n| fault | times |\n| --- | --- |\n",
        extent.seed,
        figures.jobs,
        took.as_secs(),
        violations.len(),
        figures.runs,
        figures.redeliveries,
        figures.sent_again
    );
    let mut row = |line: String| writeln!(text, "| {line} |").expect("a string takes it");
    figures.faults.iter().for_each(|(kind, times)| row(format!("{} | {times}", kind.name())));
    text += "\n| verdict | answers |\n| --- | --- |\n";
    let mut row = |line: String| writeln!(text, "| {line} |").expect("a string takes it");
    figures.verdicts.iter().for_each(|(verdict, answers)| row(format!("{verdict} | {answers}")));
    text += "\n| recovery, in milliseconds | target | measured | least | median | most |\n\
             | --- | --- | --- | --- | --- | --- |\n";
    let rows = [
        ("death of a worker to its job's start elsewhere, slots free", "200", &figures.killed),
        ("the same under load", "–", &figures.killed_under_load),
        ("freeze of a worker to its job's start elsewhere, slots free", "3500", &figures.frozen),
        ("the same under load", "–", &figures.frozen_under_load),
        ("start of the router to its knowing every job in hand", "2000", &figures.known),
    ];
    let mut row = |line: String| writeln!(text, "| {line} |").expect("a string takes it");
    rows.into_iter().for_each(|(what, target, spread)| row(format!("{what} | {target} | {spread}")));
    text
}
