//! The results of a long run as Markdown, for the file that `SIMULATION_REPORT` names.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::simulation::Report;

pub(crate) fn write(reports: &[Report], counts: &BTreeMap<String, usize>) {
    let Ok(file) = std::env::var("SIMULATION_REPORT") else { return };
    std::fs::write(file, markdown(reports, counts)).unwrap();
}

fn markdown(reports: &[Report], counts: &BTreeMap<String, usize>) -> String {
    let of = |what: &str| counts.get(what).copied().unwrap_or_default();
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
    for (what, times) in counts {
        if let Some(fault) = what.strip_prefix("fault ") {
            writeln!(text, "| {} | {times} |", messages(fault)).unwrap();
        }
    }
    text
}

/// `WorkerDies` as `worker dies`.
fn messages(name: &str) -> String {
    let mut messages = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !messages.is_empty() {
            messages.push(' ');
        }
        messages.extend(letter.to_lowercase());
    }
    messages
}
