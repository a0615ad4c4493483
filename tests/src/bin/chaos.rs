//! `make chaos`: injects faults into real processes, and writes the measurements as Markdown to standard output.
//!
//! `trackyard-chaos [JOBS [SEED]]`: the number of jobs, by default 20000, and the plan's seed, by default a random one.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a tool that reports")]

use std::process::ExitCode;
use std::time::SystemTime;

use e2e::chaos::{RunOptions, report, run};

const DEFAULT_JOBS: usize = 20_000;
/// How often each single fault is measured at the end.
const ROUNDS: usize = 7;

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let jobs = args.next().map_or(Ok(DEFAULT_JOBS), |text| text.parse())?;
    let seed = args.next().map_or_else(|| Ok(random_seed()), |text| text.parse())?;
    let options = RunOptions { seed, jobs, rounds: ROUNDS };
    eprintln!("chaos: {jobs} jobs, seed {seed}");
    let outcome = run(options, |line| eprintln!("chaos: {line}"));
    print!("{}", report::markdown(options, &outcome));
    let missed = report::missed_targets(&outcome.measurements);
    outcome.violations.iter().for_each(|violation| eprintln!("chaos: {violation}"));
    missed.iter().for_each(|target| eprintln!("chaos: {target}"));
    if outcome.violations.is_empty() && missed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("chaos: to repeat this run: make chaos CHAOS_SEED={seed} CHAOS_JOBS={jobs}");
    Ok(ExitCode::FAILURE)
}

/// Returns a random seed of few digits.
fn random_seed() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.map_or(1, |now| u64::from(now.subsec_micros()))
}
