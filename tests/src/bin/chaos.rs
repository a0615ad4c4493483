//! `make chaos`: plays a plan of faults on real processes, and writes the figures as Markdown to standard output.
//!
//! `trackyard-chaos [JOBS [SEED]]`: so many jobs, 20000 if not said; without a seed any.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a tool that reports")]

use std::process::ExitCode;
use std::time::SystemTime;

use e2e::chaos::{Extent, report, run};

const JOBS: usize = 20_000;
/// Of each single fault that is measured at the end.
const ROUNDS: usize = 7;

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let jobs = arguments.next().map_or(Ok(JOBS), |text| text.parse())?;
    let seed = arguments.next().map_or_else(|| Ok(any()), |text| text.parse())?;
    let extent = Extent { seed, jobs, rounds: ROUNDS };
    eprintln!("chaos: {jobs} jobs, seed {seed}");
    let outcome = run(extent, |line| eprintln!("chaos: {line}"));
    print!("{}", report::markdown(extent, &outcome));
    let missed = report::missed(&outcome.figures);
    outcome.violations.iter().for_each(|violation| eprintln!("chaos: {violation}"));
    missed.iter().for_each(|target| eprintln!("chaos: {target}"));
    if outcome.violations.is_empty() && missed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("chaos: to play it again: make chaos CHAOS_SEED={seed} CHAOS_JOBS={jobs}");
    Ok(ExitCode::FAILURE)
}

/// A seed that is short to write.
fn any() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.map_or(1, |now| u64::from(now.subsec_micros()))
}
