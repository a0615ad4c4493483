//! Complete runs.

use std::num::NonZero;
use std::ops::Range;
use std::panic::catch_unwind;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::available_parallelism;

use trackyard_router::dispatch::PlantedFault;

use crate::simulation::{Report, Simulation};

/// Simulated seconds with faults in one run. Afterwards the simulation must come to rest.
const FAULT_SECONDS: u64 = 240;

fn run(seed: u64, fault: Option<PlantedFault>) -> Report {
    Simulation::new(seed, fault).run(FAULT_SECONDS)
}

/// Returns the seeds of the environment variable `SIMULATION_SEEDS`, such as `352..353` or `1000..2000`, else `default`.
pub(crate) fn seeds(default: Range<u64>) -> Range<u64> {
    let Ok(chosen) = std::env::var("SIMULATION_SEEDS") else { return default };
    let (from, to) = chosen.split_once("..").expect("SIMULATION_SEEDS is a range such as 1..25");
    from.parse().unwrap()..to.parse().unwrap()
}

/// Returns false if only some seeds are run again, in which not everything needs to occur.
pub(crate) fn all_seeds_run() -> bool {
    std::env::var_os("SIMULATION_SEEDS").is_none() || wanted_jobs().is_some()
}

/// Returns the number of jobs that `SIMULATION_JOBS` asks for. Further seeds run until it is reached.
fn wanted_jobs() -> Option<usize> {
    Some(std::env::var("SIMULATION_JOBS").ok()?.parse().expect("SIMULATION_JOBS is a number"))
}

/// Runs all seeds, with one thread per processor.
pub(crate) fn run_all(seeds: Range<u64>) -> Vec<Report> {
    let wanted_jobs = wanted_jobs();
    let next = AtomicU64::new(seeds.start);
    let reports: Mutex<Vec<Report>> = Mutex::new(Vec::new());
    let is_enough = |seed: u64| match wanted_jobs {
        Some(jobs) => {
            reports.lock().unwrap().iter().map(|report| report.count("jobs")).sum::<usize>() >= jobs
        }
        None => seed >= seeds.end,
    };
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if is_enough(seed) {
                return;
            }
            let report = catch_unwind(|| run(seed, None));
            let report = report.unwrap_or_else(|_| panic!("the run with seed {seed} panicked"));
            reports.lock().unwrap().push(report);
        }
    };
    let threads = available_parallelism().map_or(2, NonZero::get);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    reports.into_inner().unwrap()
}

/// Asserts that some run with this fault has a violation that contains `text`.
pub(crate) fn assert_found(fault: PlantedFault, text: &str) {
    let found = (100..106).find_map(|seed| {
        let violations = run(seed, Some(fault)).violations;
        violations.into_iter().find(|violation| violation.contains(text))
    });
    println!("{fault:?}: {found:?}");
    assert!(found.is_some(), "{fault:?} went unnoticed");
}
