//! The figures of a long form, as Markdown, for the file that `SIMULATION_REPORT` names.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::world::Report;

pub(crate) fn write(reports: &[Report], seen: &BTreeMap<String, usize>) {
    let Ok(file) = std::env::var("SIMULATION_REPORT") else { return };
    std::fs::write(file, markdown(reports, seen)).unwrap();
}

fn markdown(reports: &[Report], seen: &BTreeMap<String, usize>) -> String {
    let of = |what: &str| seen.get(what).copied().unwrap_or_default();
    let seeds = || reports.iter().map(|report| report.seed);
    let violations: usize = reports.iter().map(|report| report.violations.len()).sum();
    let mut text = format!(
        "Seeds {} to {}: {} jobs, {violations} violations. {} attempts were second ones, {} jobs were taken over from a \
         router that had died, {} requests were sent again after a restart.\n\n| fault | times |\n| --- | --- |\n",
        seeds().min().unwrap_or_default(),
        seeds().max().unwrap_or_default(),
        of("jobs"),
        of("redelivered"),
        of("adopted"),
        of("resent after a restart"),
    );
    for (what, times) in seen {
        if let Some(fault) = what.strip_prefix("fault ") {
            writeln!(text, "| {} | {times} |", words(fault)).unwrap();
        }
    }
    text
}

/// `WorkerDies` as `worker dies`.
fn words(name: &str) -> String {
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(letter.to_lowercase());
    }
    words
}
